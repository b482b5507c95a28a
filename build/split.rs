//! Which curated entries the model may learn from, and which are kept to see whether it learnt.
//!
//! Whole entries are held out, never single sentences or paraphrases of one: reading must carry over to what was never
//! read. Does NOT know what is trained.

use tomato_assistant::bundle::sha256;

/// Whether the entry called `id` is held out of training and calibration: one in ten, by its id alone, so that adding an
/// entry moves no other.
pub fn held_out(id: &str) -> bool {
    u32::from_str_radix(&sha256(id.as_bytes())[..8], 16).is_ok_and(|hash| hash % 10 == 0)
}
