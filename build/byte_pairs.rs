//! A `tokenizer.json` of the byte-pair kind, taken apart: pieces, and what joins into what.
//!
//! Turns the file into tables, and a text into all pieces met while it is merged. Text is merged as Gemma's tokenizer
//! does: whichever two neighbours have the earliest merge are joined, the leftmost first. Does NOT know the weights.

use serde_json::Value;
use std::collections::HashMap;
use tomato_assistant::bundle::sha256;

/// Pieces and merges.
pub struct BytePairs {
    /// The whole file, for what is not read here.
    pub json: Value,
    /// Text of each id.
    pub texts: Vec<String>,
    /// Id of each text.
    pub ids: HashMap<String, u32>,
    /// (left, right) -> (rank, id of the joined piece).
    joins: HashMap<(u32, u32), (u32, u32)>,
}

/// How a text is merged.
pub struct Merged {
    /// What it ends as.
    pub pieces: Vec<u32>,
    /// Every piece that was made on the way, in order.
    pub made: Vec<u32>,
}

impl BytePairs {
    /// Takes the text of a `tokenizer.json` apart.
    ///
    /// # Errors
    /// A sentence: not such a file, or its ids have gaps.
    pub fn parse(file: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(file).map_err(|error| error.to_string())?;
        let vocabulary = json["model"]["vocab"].as_object().ok_or("it has no model.vocab")?;
        let mut texts = vec![String::new(); vocabulary.len()];
        let mut ids = HashMap::with_capacity(vocabulary.len());
        for (text, id) in vocabulary {
            let id = id.as_u64().filter(|id| *id < texts.len() as u64).ok_or("its ids are not 0, 1, 2, …")?;
            texts[id as usize] = text.clone();
            ids.insert(text.clone(), id as u32);
        }
        let merges = json["model"]["merges"].as_array().ok_or("it has no model.merges")?;
        let mut joins = HashMap::with_capacity(merges.len());
        for (rank, merge) in merges.iter().enumerate() {
            let (left, right) = pair(merge).ok_or_else(|| format!("{merge} is no merge"))?;
            let id = |text: &str| ids.get(text).copied().ok_or_else(|| format!("{text:?} is merged, but no piece"));
            joins.insert((id(left)?, id(right)?), (rank as u32, id(&[left, right].concat())?));
        }
        Ok(Self { texts, ids, joins, json })
    }

    /// SHA-256 of all pieces in order of their ids: equal for tokenizers of one vocabulary, however their files look.
    pub fn fingerprint(&self) -> String {
        sha256(serde_json::to_string(&self.texts).expect("a list of strings").as_bytes())
    }

    /// Merges `text`, in which spaces are ▁. Characters without a piece are left out.
    pub fn merge(&self, text: &str) -> Merged {
        let mut pieces: Vec<u32> =
            text.chars().filter_map(|letter| self.ids.get(letter.encode_utf8(&mut [0; 4]) as &str)).copied().collect();
        let mut made = Vec::new();
        loop {
            let joins = pieces.windows(2).enumerate().filter_map(|(at, pair)| {
                let &(rank, joined) = self.joins.get(&(pair[0], pair[1]))?;
                Some((rank, at, joined))
            });
            let Some((_, at, joined)) = joins.min() else {
                return Merged { pieces, made };
            };
            pieces[at] = joined;
            pieces.remove(at + 1);
            made.push(joined);
        }
    }

    /// The pieces that must be there for piece `id` to be made, itself last; None when no text becomes it, such as a
    /// control token or a byte.
    pub fn path(&self, id: u32) -> Option<Vec<u32>> {
        let text = &self.texts[id as usize];
        let letters = text.chars().map(|letter| self.ids.get(letter.encode_utf8(&mut [0; 4]) as &str).copied());
        let mut path: Vec<u32> = letters.collect::<Option<_>>()?;
        let merged = self.merge(text);
        path.extend(merged.made);
        (merged.pieces == [id]).then_some(path)
    }
}

/// The two parts of an entry of `model.merges`: a pair, or one text with a space between them, which no piece holds.
pub fn pair(merge: &Value) -> Option<(&str, &str)> {
    if let Some(line) = merge.as_str() {
        return line.split_once(' ');
    }
    match merge.as_array()?.as_slice() {
        [left, right] => Some((left.as_str()?, right.as_str()?)),
        _ => None,
    }
}
