//! BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework") over counted terms.
//!
//! Scores every document at once through postings lists. The `bm25` crate walks each document's every term for each
//! term of the question, too slow for fragments of words. Does NOT know what a term is.

use super::terms::Counted;
use std::collections::HashMap;

/// How quickly more of the same term stops counting.
const K1: f32 = 1.2;
/// How much a long document is held to its length.
const B: f32 = 0.75;

/// An index of documents.
pub struct Bm25 {
    /// Term -> its number.
    numbers: HashMap<String, u32>,
    /// For each term where its postings begin, and at last where they end.
    first: Vec<usize>,
    /// For one term after the other the documents that hold it, with its weight there: 0 to [`K1`] + 1.
    postings: Vec<(u32, f32)>,
    documents: usize,
}

impl Bm25 {
    /// Indexes what was counted.
    pub fn new(counted: Counted) -> Self {
        let Counted { numbers, documents } = counted;
        let lengths: Vec<f32> = documents.iter().map(|terms| terms.iter().map(|(_, count)| count).sum()).collect();
        let mean = (lengths.iter().sum::<f32>() / documents.len().max(1) as f32).max(1.0);
        let mut first = vec![0; numbers.len() + 1];
        documents.iter().flatten().for_each(|&(term, _)| first[term as usize + 1] += 1);
        (1..first.len()).for_each(|term| first[term] += first[term - 1]);
        let (mut next, mut postings) = (first.clone(), vec![(0, 0f32); first[numbers.len()]]);
        for (index, (terms, length)) in documents.iter().zip(&lengths).enumerate() {
            let damping = K1 * (1.0 - B + B * length / mean);
            for &(term, count) in terms {
                let place = &mut next[term as usize];
                postings[*place] = (index as u32, count * (K1 + 1.0) / (count + damping));
                *place += 1;
            }
        }
        Self { numbers, first, postings, documents: documents.len() }
    }

    /// For each document the share, 0 to 1, of the most that one could score on `question`. A term that stands nowhere
    /// counts as the rarest: a question full of unknown words is covered by nothing.
    pub fn scores(&self, question: &[String]) -> Vec<f32> {
        // Sorted, so that rounding is the same every time.
        let mut question: Vec<&String> = question.iter().collect();
        question.sort();
        question.dedup();
        let mut scores = vec![0f32; self.documents];
        let mut most = 0f32;
        for term in question {
            let of = |&number: &u32| &self.postings[self.first[number as usize]..self.first[number as usize + 1]];
            let postings = self.numbers.get(term).map_or(&[][..], of);
            let rarity = self.rarity(postings.len());
            most += rarity * (K1 + 1.0);
            for &(document, weight) in postings {
                scores[document as usize] += rarity * weight;
            }
        }
        if most > 0.0 {
            scores.iter_mut().for_each(|score| *score /= most);
        }
        scores
    }

    /// Whether every term of `question` stands in some document.
    pub fn knows_all(&self, question: &[String]) -> bool {
        question.iter().all(|term| self.numbers.contains_key(term))
    }

    /// Inverse document frequency.
    fn rarity(&self, with_term: usize) -> f32 {
        let (documents, with_term) = (self.documents as f32, with_term as f32);
        (1.0 + (documents - with_term + 0.5) / (with_term + 0.5)).ln()
    }
}
