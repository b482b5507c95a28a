//! BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework") over documents given as counted terms.
//!
//! Scores every document at once through postings lists. The `bm25` crate walks each document's every term for each
//! term of the question, which for fragments of words takes several times the whole time a question may take. Does NOT
//! know what a term is.

use std::collections::{HashMap, HashSet};

/// How quickly more of the same term stops counting.
const K1: f32 = 1.2;
/// How much a long document is held to its length.
const B: f32 = 0.75;

/// An index of documents.
pub struct Bm25 {
    terms: HashMap<String, Term>,
    documents: usize,
}

/// Where a term stands: document and weight there, 0 to [`K1`] + 1.
struct Term {
    postings: Vec<(u32, f32)>,
}

impl Bm25 {
    /// Indexes documents; each is its terms with their counts, which fields may have weighted.
    pub fn new(documents: &[HashMap<String, f32>]) -> Self {
        let lengths: Vec<f32> = documents.iter().map(|document| document.values().sum()).collect();
        let mean = (lengths.iter().sum::<f32>() / documents.len().max(1) as f32).max(1.0);
        let mut terms: HashMap<String, Term> = HashMap::new();
        for (index, (document, length)) in documents.iter().zip(&lengths).enumerate() {
            let damping = K1 * (1.0 - B + B * length / mean);
            for (term, count) in document {
                let weight = count * (K1 + 1.0) / (count + damping);
                let posting = (index as u32, weight);
                match terms.get_mut(term) {
                    Some(known) => known.postings.push(posting),
                    None => drop(terms.insert(term.clone(), Term { postings: vec![posting] })),
                }
            }
        }
        Self { terms, documents: documents.len() }
    }

    /// For each document the share, 0 to 1, of the most that one could score on `question`. A term that stands nowhere
    /// counts as the rarest: a question full of unknown words is covered by nothing.
    pub fn scores(&self, question: &[String]) -> Vec<f32> {
        let mut scores = vec![0f32; self.documents];
        let mut most = 0f32;
        for term in question.iter().collect::<HashSet<_>>() {
            let known = self.terms.get(term);
            let rarity = self.rarity(known.map_or(0, |term| term.postings.len()));
            most += rarity * (K1 + 1.0);
            for &(document, weight) in known.iter().flat_map(|term| &term.postings) {
                scores[document as usize] += rarity * weight;
            }
        }
        if most > 0.0 {
            scores.iter_mut().for_each(|score| *score /= most);
        }
        scores
    }

    /// Inverse document frequency.
    fn rarity(&self, with_term: usize) -> f32 {
        let (documents, with_term) = (self.documents as f32, with_term as f32);
        (1.0 + (documents - with_term + 0.5) / (with_term + 0.5)).ln()
    }
}
