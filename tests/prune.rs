//! Pruning a checkpoint's vocabulary: what is kept keeps its numbers, any text still encodes, a list that would break
//! something is refused. And a bundle that is too large for its recipe.

use crate::{
    stages::{
        artifact::{Artifact, Artifacts, Origin, Stage},
        blocks,
        bundle::{self, Parts},
        byte_pairs::BytePairs,
        config_json::Config,
        draw::Draw,
        prune::{self, Pruned, Watch, vocabulary},
        ranking,
        recipe::{self, BlockFormat, Prune},
        sources::{Sources, VOCABULARY},
    },
    tiny_base::{self, gguf, import_to},
    tiny_bundle::{entry, repository},
};
use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor},
    safetensors::load,
};
use indicatif::ProgressBar;
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::{TempDir, tempdir};
use tokenizers::Tokenizer;
use tomato_assistant::bundle::{ENCODER, ENCODER_TOKENIZER, MODEL, Provenance, TOKENIZER, VECTORS, WORDS};

/// Of the tiny base's letters and joined pieces those that the list keeps: `bc`, `▁a`, `\n\n` and `<b>` go.
const LETTERS: [&str; 7] = ["\n", "▁", "a", "b", "c", "ab", "abc"];
/// 4 specials, 256 bytes, the letters.
pub const ROWS: usize = 4 + 256 + LETTERS.len();

/// The tiny base as the import stage leaves it.
pub fn checkpoint() -> TempDir {
    let ((_base, path), out) = (gguf(|_, _| ()), tempdir().unwrap());
    import_to(&path, out.path()).unwrap();
    out
}

fn tokenizer(checkpoint: &Path) -> Vec<u8> {
    fs::read(checkpoint.join("tokenizer.json")).unwrap()
}

/// A list of these pieces for this checkpoint.
pub fn list(checkpoint: &Path, pieces: &[String]) -> String {
    let base = BytePairs::parse(&tokenizer(checkpoint)).unwrap().fingerprint();
    let lines = pieces.iter().map(|piece| serde_json::to_string(piece).unwrap());
    format!("# a remark\n# base: {base}\n{}\n", lines.collect::<Vec<_>>().join("\n"))
}

pub fn good_pieces() -> Vec<String> {
    let bytes = (0..=255u8).map(|byte| format!("<0x{byte:02X}>"));
    let special = ["<bos>", "<eos>", "<pad>", "<unk>"].map(String::from);
    special.into_iter().chain(bytes).chain(LETTERS.map(String::from)).collect()
}

fn prune(checkpoint: &Path, list: &str, rows: Option<usize>) -> Result<(TempDir, Pruned), String> {
    pruned(checkpoint, list, Prune { vocabulary: rows, ..Prune::default() })
}

fn pruned(checkpoint: &Path, list: &str, table: Prune) -> Result<(TempDir, Pruned), String> {
    let (repository, out) = (repository(&format!("[{}]", entry("abc", ""))), tempdir().unwrap());
    fs::write(repository.path().join(VOCABULARY), list).unwrap();
    let sources = Sources::find(repository.path()).unwrap();
    let bar = ProgressBar::hidden();
    let watch = Watch { bytes: &bar, work: &bar, step: &|_| () };
    let pruned = prune::run(&table, checkpoint, &sources, out.path(), &watch);
    pruned.map(|pruned| (out, pruned)).map_err(|error| error.to_string())
}

#[test]
fn kept_pieces_keep_their_rows_under_new_ids() {
    let before = checkpoint();
    let (after, pruned) = prune(before.path(), &list(before.path(), &good_pieces()), Some(ROWS)).unwrap();
    assert_eq!((pruned.rows_before, pruned.config.vocab_size), (272, ROWS as u32));
    let config = Config::read(&after.path().join("config.json")).unwrap();
    assert_eq!(config, Config { vocab_size: ROWS as u32, ..tiny_base::config() });
    let [old, new] = [&before, &after].map(|dir| load(dir.path().join("model.safetensors"), &Device::Cpu).unwrap());
    let [was, is] = [&before, &after].map(|dir| BytePairs::parse(&tokenizer(dir.path())).unwrap());
    assert_eq!(is.texts.len(), ROWS);
    for (name, tensor) in &old {
        if name == "model.embed_tokens.weight" {
            let [old, new] = [tensor, &new[name]].map(|table| table.to_vec2::<f32>().unwrap());
            assert_eq!(new.len(), ROWS);
            for (piece, &id) in &is.ids {
                assert_eq!(new[id as usize], old[was.ids[piece] as usize], "{piece}");
            }
        } else {
            let [old, new] = [tensor, &new[name]].map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            assert_eq!(old, new, "{name}");
        }
    }
    // The same piece, four ids lower: <b>, two line breaks and two spaces before it are gone.
    assert_eq!((was.ids["a"], is.ids["a"]), (269, 264));
}

#[test]
fn a_table_that_was_rounded_is_shipped_as_it_was_learnt_with() {
    let before = checkpoint();
    let list = list(before.path(), &good_pieces());
    for (format, rows) in [(BlockFormat::Q4_0, Some(ROWS)), (BlockFormat::Q8_0, Some(ROWS)), (BlockFormat::Q4_0, None)]
    {
        let rounded = Prune { vocabulary: rows, embedding: Some(format), ..Prune::default() };
        let ([was, is], name) = (
            [prune(before.path(), &list, rows).unwrap().0, pruned(before.path(), &list, rounded).unwrap().0]
                .map(|dir| load(dir.path().join("model.safetensors"), &Device::Cpu).unwrap()),
            "model.embed_tokens.weight",
        );
        for (other, tensor) in was.iter().filter(|(other, _)| *other != name) {
            let [was, is] = [tensor, &is[other]].map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            assert_eq!(was, is, "{other}");
        }
        let width = was[name].dim(1).unwrap();
        let [was, is] = [&was, &is].map(|all| all[name].flatten_all().unwrap().to_vec1::<f32>().unwrap());
        let again = blocks::rounded(name, width, format, &is).unwrap();
        assert!(was != is && again == is, "{format:?}: what is rounded once more stays");
        let far = was.iter().zip(&is).map(|(was, is)| (was - is).abs()).fold(0.0, f32::max);
        let largest = was.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(far < largest / 8.0, "{far} of {largest}");
    }
    let mut draw = Draw::new(5);
    let values: Vec<f32> = (0..32 * 20_000).map(|_| (0..4).map(|_| draw.share() as f32 - 0.5).sum()).collect();
    for format in [BlockFormat::Q4_0, BlockFormat::Q8_0] {
        let once = blocks::rounded("w", 32, format, &values).unwrap();
        assert!(blocks::rounded("w", 32, format, &once).unwrap() == once, "{format:?}");
    }
}

#[test]
fn any_text_still_encodes_and_decodes_to_itself() {
    let before = checkpoint();
    let (after, _) = prune(before.path(), &list(before.path(), &good_pieces()), Some(ROWS)).unwrap();
    let tokenizer = Tokenizer::from_bytes(tokenizer(after.path())).unwrap();
    for text in ["토마토 25℃ café ½ 日本語 🙂", "abcab bc a", "\n\n  <b>", "\u{0}\u{10ffff}", ""] {
        let ids = tokenizer.encode(text, false).unwrap().get_ids().to_vec();
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        assert!(ids.iter().all(|id| (*id as usize) < ROWS && *id != 3), "{text:?}: {ids:?}");
    }
    let pieces = |text: &str| tokenizer.encode(text, true).unwrap().get_tokens().to_vec();
    assert_eq!(pieces("abcbc"), ["<bos>", "abc", "b", "c"]);
}

#[test]
fn without_groups_a_checkpoint_stays_as_it_is() {
    let before = checkpoint();
    let (after, pruned) = prune(before.path(), "", None).unwrap();
    assert_eq!(pruned.config, tiny_base::config());
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        let [before, after] = [&before, &after].map(|dir| fs::read(dir.path().join(file)).unwrap());
        assert!(before == after, "{file}");
    }
}

#[test]
fn lists_that_would_break_something_are_refused() {
    let before = checkpoint();
    let refused = |change: &dyn Fn(&mut Vec<String>), rows: usize| {
        let mut pieces = good_pieces();
        change(&mut pieces);
        prune(before.path(), &list(before.path(), &pieces), Some(rows)).map(drop).unwrap_err()
    };
    let without = |piece: &'static str| move |pieces: &mut Vec<String>| pieces.retain(|kept| kept != piece);
    for (message, expected) in [
        (refused(&|pieces| pieces.push("xyz".into()), ROWS + 1), "line 270: \"xyz\" is no piece of the base"),
        (refused(&|pieces| pieces.push("ab".into()), ROWS), "line 270: \"ab\" is there twice"),
        (refused(&without("<0x7F>"), ROWS - 1), "lack <0x7F>, which must be kept"),
        (refused(&without("<bos>"), ROWS - 1), "lack <bos>"),
        (refused(&without("ab"), ROWS - 1), "hold \"abc\" but not \"ab\""),
        (refused(&without("c"), ROWS - 1), "hold \"abc\" but not \"c\""),
        (refused(&|_| (), ROWS + 1), "is 268, but the vocabulary list holds 267"),
        (refused(&|_| (), 100), "first 100 pieces of the vocabulary list lack <0x"),
    ] {
        assert!(message.contains(expected), "{message}");
    }
    let good = list(before.path(), &good_pieces());
    let other = good.replacen("base: ", "base: 0", 1);
    for (list, expected) in [
        (other.as_str(), "another base model"),
        (&good.replace("\"abc\"", "abc"), "line 269: \"abc\" is no piece in quotes"),
        (&good.replace("base", "Base"), "no line \"# base: \""),
        ("", "no line"),
    ] {
        let message = prune(before.path(), list, Some(ROWS)).map(drop).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let before = checkpoint();
    let path = before.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let message = prune(before.path(), "", None).map(drop).unwrap_err();
    assert!(message.contains("not finite"), "{message}");
}

#[test]
fn a_tokenizer_that_was_cut_wrongly_is_found() {
    let before = checkpoint();
    let original = tokenizer(before.path());
    let good = vocabulary::List::parse(&list(before.path(), &good_pieces())).unwrap();
    let mut cut = vocabulary::cut(&original, &good, ROWS).unwrap();
    let texts = ["abc", "so, bc is in two now: ab c", "no piece is lost: c a b"];
    assert_eq!(vocabulary::prove(&original, &cut, &texts).unwrap(), 1);
    let mut json: serde_json::Value = serde_json::from_slice(&cut.json).unwrap();
    json["model"]["merges"] = serde_json::json!([]);
    cut.json = json.to_string().into_bytes();
    let message = vocabulary::prove(&original, &cut, &texts).unwrap_err().to_string();
    assert!(message.contains("\"abc\" encodes to"), "{message}");
}

#[test]
fn a_ranked_list_is_closed_wherever_it_is_cut() {
    let (before, root) = (checkpoint(), repository(&format!("[{}]", entry("one", ""))));
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(ranking::GARDEN, "# a remark\nbc\n");
    write("src/text/en.rs", "fn says() { \"cab\" }");
    write("src/prompt.rs", "");
    write("words.10", "a\nabc\n");
    let words = [root.path().join("words.10")];
    let text = ranking::run(before.path(), root.path(), &words, 1000).unwrap();
    let list = vocabulary::List::parse(&text).unwrap();
    let pieces: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let place = |piece: &str| pieces.iter().position(|found| *found == piece).unwrap();
    // The program's wording, the garden words, common words; what a piece is made of before it.
    assert!(place("\"ab\"") < place("\"bc\"") && place("\"bc\"") < place("\"abc\""), "{pieces:?}");
    for rows in place("\"c\"") + 1..=pieces.len() {
        vocabulary::cut(&tokenizer(before.path()), &list, rows).unwrap();
    }
    assert_eq!(ranking::run(before.path(), root.path(), &words, 263).unwrap().lines().count(), 263 + 5);
}

#[test]
fn the_list_in_the_repository_holds_what_it_must() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(VOCABULARY)).unwrap();
    vocabulary::List::parse(&text).unwrap();
    let rows = recipe::Recipe::load(None).unwrap().tables.prune.vocabulary.unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).take(rows).collect();
    assert_eq!(kept.len(), rows);
    for piece in ["<bos>", "<0xFF>", "▁nematodes", "▁Tomato", "℃", "토", "▁", "½", "<end_of_turn>"] {
        assert!(kept.contains(&&*format!("\"{piece}\"")), "{piece}");
    }
}

#[test]
fn a_bundle_above_its_budget_is_not_made() {
    let (folder, repository) = (tempdir().unwrap(), repository(&format!("[{}]", entry("one", ""))));
    let (artifacts, sources) = (Artifacts::open(folder.path()).unwrap(), Sources::find(repository.path()).unwrap());
    let made = |number: u8, files: &[&str]| -> Artifact {
        let stage = Stage { number, name: "part", revision: 1 };
        let fill = |out: &Path| {
            files.iter().for_each(|file| fs::write(out.join(file), vec![0; 1000 * usize::from(number)]).unwrap());
            Ok::<(), bundle::AssembleError>(())
        };
        artifacts.produce(&stage, Origin::new(&stage, &(), BTreeMap::new()), fill).unwrap()
    };
    let (model, encoder) = (made(3, &[MODEL, TOKENIZER]), made(2, &[ENCODER, ENCODER_TOKENIZER, WORDS]));
    let parts = Parts { model: &model, encoder: &encoder, vectors: &made(1, &[VECTORS]) };
    let provenance = Provenance {
        base_model_sha256: "a".repeat(64),
        base_model_name: "tiny".into(),
        encoder_sha256: "b".repeat(64),
        recipe_sha256: "c".repeat(64),
        tool_version: "0.1.0".into(),
    };
    let run = |budget: Option<u64>| {
        let (table, out) =
            (recipe::Bundle { name: "t".into(), budget, licences: vec![], gates: None }, tempdir().unwrap());
        let made = bundle::run(&table, &provenance, parts, &sources, out.path());
        made.map_err(|error| (error.to_string(), out.path().join("manifest.json").exists()))
    };
    let (message, written) = run(Some(11_000)).unwrap_err();
    assert!(!written && message.contains("budget is 11000: model.gguf 3000, tokenizer.json 3000"), "{message}");
    assert!(message.contains("[quantize]") && message.contains("[prune] vocabulary"), "{message}");
    run(Some(20_000)).unwrap();
    run(None).unwrap();
}

#[test]
fn tried_scales_are_nearer_than_plain_rounding() {
    let values: Vec<f32> = (0u32..4096).map(|n| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e7 - 0.8).collect();
    let shape = [64, 64];
    let ours =
        blocks::tensor("x", &shape, Some(BlockFormat::Q4_0), |first, count| Ok(values[first..first + count].to_vec()));
    let plain = QTensor::quantize(&Tensor::from_slice(&values, &shape, &Device::Cpu).unwrap(), GgmlDType::Q4_0);
    // As it is weighed: by the squares of the numbers.
    let [ours, plain] = [ours.unwrap(), plain.unwrap()].map(|blocks| {
        let given = blocks.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        given.iter().zip(&values).map(|(is, was)| (was * (is - was)).powi(2)).sum::<f32>()
    });
    assert!(ours > 0.0 && ours < 0.9 * plain, "{ours} against {plain}");
}
