//! Pruning layers and neurons: what goes and what stays, the gate that undoes a step, the same bytes twice.

use crate::{
    program,
    stages::{
        byte_pairs::BytePairs,
        config_json::{Config, LayerType, Widths},
        ffn::BLOCK,
        prune::{
            PICTURE, Pruned, RECORD,
            continuation::PROMPTS,
            record::{Group, Record, Step},
        },
        recipe::Prune,
        sources::VOCABULARY,
    },
    tiny,
    tiny_pruned::{OPEN, assert_works, files, knowing, prune_from, pruned, recipe, repository, root, tensors},
};
use serde_json::Value;
use std::{fs, path::Path};
use tempfile::TempDir;

/// One of two layers narrowed to two of three blocks.
fn narrowed() -> (TempDir, Pruned) {
    pruned(&format!("[prune.ffn]\nkeep = 0.67\nschedule = [0.67]\nprotect = {{ sensitive = 1 }}\n{OPEN}"))
}

#[test]
fn narrowed_layers_are_whole_blocks_and_open_in_the_appliance() {
    let (out, made) = narrowed();
    assert_eq!(files(out.path()), [PICTURE, "config.json", "model.safetensors", RECORD, "tokenizer.json"]);
    let config = Config::read(&out.path().join("config.json")).unwrap();
    assert_eq!(config, made.config);
    let Widths::Each(widths) = &config.intermediate_size else { panic!("one width for all") };
    assert!(widths.iter().all(|width| width.is_multiple_of(BLOCK as u32)), "{widths:?}");
    let narrow = widths.iter().position(|width| *width == 64).unwrap();
    assert_eq!(widths[1 - narrow], 96);
    assert_works(out.path(), &repository().1);

    // All else is as it was, to the bit: the protected layer, attention, norms, the token table.
    let (old, new) = (tensors(&tiny::folder()), tensors(out.path()));
    for (name, tensor) in &new {
        match name.starts_with(&format!("model.layers.{narrow}.mlp.")) {
            true => assert!(tensor.dims().contains(&64), "{name}"),
            false => assert_eq!(tiny::distance(tensor, &old[name]), 0.0, "{name}"),
        }
    }

    // What was measured says the same.
    let json: Value = serde_json::from_str(&fs::read_to_string(out.path().join(RECORD)).unwrap()).unwrap();
    let added: Vec<f64> = (0..2).map(|layer| json["ffn"][layer]["added"].as_f64().unwrap()).collect();
    assert!(added[narrow] < added[1 - narrow], "the less sensitive layer is narrowed: {added:?}");
    assert_eq!(json["ffn"][narrow]["protected"], false);
    assert_eq!(json["ffn"][narrow]["strongest"], 1.0);
    assert_eq!((&json["ffn"][narrow]["width"], &json["steps"][0]["keep"]), (&64.into(), &0.67.into()));
    assert!((json["steps"][0]["kept"].as_f64().unwrap() - 160.0 / 192.0).abs() < 1e-9);
    assert_eq!(json["unpruned"]["texts"].as_array().unwrap().len(), PROMPTS.len());
    let picture = fs::read_to_string(out.path().join(PICTURE)).unwrap();
    assert!(
        picture.starts_with("<svg xmlns") && picture.contains("layer 1") && picture.contains(">0.67<"),
        "{picture}"
    );
    assert!(!picture.contains("NaN") && !picture.contains("inf"));
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let ((one, _), (other, _)) = (narrowed(), narrowed());
    for name in files(one.path()) {
        let [one, other] = [&one, &other].map(|dir| fs::read(dir.path().join(&name)).unwrap());
        assert!(one == other, "{name}");
    }
}

#[test]
fn pieces_go_first_then_layers_then_neurons() {
    let (dir, sources) = repository();
    let tokenizer = fs::read(tiny::folder().join("tokenizer.json")).unwrap();
    let base = BytePairs::parse(&tokenizer).unwrap();
    // Pieces are made of earlier ones, so that a list cut anywhere is closed.
    let pieces: Vec<String> = base.texts.iter().map(|piece| serde_json::to_string(piece).unwrap()).collect();
    let list = format!("# base: {}\n{}\n", base.fingerprint(), pieces.join("\n"));
    fs::write(dir.path().join(VOCABULARY), list).unwrap();
    let text = format!(
        "[prune]\nvocabulary = 370\n[prune.layers]\nremove = 1\n{OPEN}\n[prune.ffn]\nkeep = 0.34\nschedule = [0.67, 0.34]\n\
         protect = {{ ends = 0 }}\nscore = \"weights\"\nfit = \"none\"\nshares = \"equal\"\n{OPEN}"
    );
    let (out, made) = prune_from(&tiny::folder(), &sources, &recipe(&text).unwrap()).unwrap();
    let record = made.record.unwrap();
    let tried: Vec<_> =
        record.steps.iter().map(|step| (step.group, step.keep, &*step.removed, &*step.widths)).collect();
    let gone = record.layers.iter().position(|layer| layer.removed).unwrap();
    let expected: [(_, _, &[usize], &[usize]); 3] =
        [(Group::Layers, 1.0, &[gone], &[96]), (Group::Ffn, 0.67, &[gone], &[64]), (Group::Ffn, 0.34, &[gone], &[32])];
    assert_eq!(tried, expected);
    assert!(record.layers[gone].added < record.layers[1 - gone].added, "{:?}", record.layers);
    assert_eq!(record.ffn[0].layer, 1 - gone);

    let config = Config::read(&out.path().join("config.json")).unwrap();
    let kind = [LayerType::SlidingAttention, LayerType::FullAttention][1 - gone];
    assert_eq!((config.vocab_size, config.num_hidden_layers, config.layer_types), (370, 1, vec![kind]));
    assert_eq!(config.intermediate_size, Widths::All(32), "one width for all is what llama.cpp reads");
    assert!(!files(out.path()).contains(&"whole".into()));
    assert_works(out.path(), &sources);
    let (old, new) = (tensors(&tiny::folder()), tensors(out.path()));
    for part in ["self_attn.q_proj", "input_layernorm"] {
        let was = &old[&format!("model.layers.{}.{part}.weight", 1 - gone)];
        assert_eq!(tiny::distance(was, &new[&format!("model.layers.0.{part}.weight")]), 0.0);
    }
    let table = &old["model.embed_tokens.weight"].narrow(0, 0, 370).unwrap();
    assert_eq!(tiny::distance(table, &new["model.embed_tokens.weight"]), 0.0);
}

const GATE: &str = "gate = { tomato = 1.05, general = 1.05, texts = false }";

#[test]
fn a_step_that_costs_too_much_is_undone_and_told() {
    let (base, (_data, sources)) = (knowing(), repository());
    let table = |score: &str| {
        recipe(&format!(
            "[prune.layers]\nremove = 1\n{GATE}\n[prune.ffn]\nkeep = 0.34\nschedule = [1.0, 0.34]\nscore = \"{score}\"\n\
             fit = \"none\"\nprotect = {{ ends = 0 }}\n{GATE}"
        ))
        .unwrap()
    };
    let (out, made) = prune_from(base.path(), &sources, &table("weights")).unwrap();
    let record = made.record.unwrap();
    let lines: Vec<String> = record.steps.iter().map(Step::line).collect();
    // Layer 1 is silent, so it can go; the neurons of layer 0 cannot.
    assert_eq!(record.steps.iter().map(Step::passed).collect::<Vec<_>>(), [true, true, false], "{lines:?}");
    assert!(lines[0].starts_with("without layers [1]: 50.0 % of all neurons, widths 96-96"), "{lines:?}");
    assert!(lines[1].ends_with("(x1.00): passed"), "{lines:?}");
    assert!(lines[2].contains("undone: perplexity on tomato text is "), "{lines:?}");
    let [stopped] = &record.stopped[..] else { panic!("{:?}", record.stopped) };
    assert!(
        stopped.starts_with("stopped at 0.34 of the neurons, kept is 1.00 of the neurons: perplexity"),
        "{stopped}"
    );
    assert_eq!((made.config.num_hidden_layers, made.config.intermediate_size), (1, Widths::All(96)));
    let (old, new) = (tensors(base.path()), tensors(out.path()));
    assert!(new.iter().all(|(name, tensor)| tiny::distance(tensor, &old[name]) == 0.0));

    // The neurons that the score by activity keeps know more.
    let (_, other) = prune_from(base.path(), &sources, &table("activity")).unwrap();
    let last = |record: &Record| record.steps.last().unwrap().ratios;
    let (by_weights, by_activity) = (last(&record), last(&other.record.unwrap()));
    assert!(by_activity[0] < by_weights[0] && by_activity[1] < by_weights[1], "{by_activity:?} {by_weights:?}");
}

#[test]
fn when_the_first_step_is_undone_the_model_stays_whole() {
    let (out, made) = pruned(&format!("[prune.layers]\nremove = 1\n{GATE}"));
    let record = made.record.unwrap();
    assert!(record.stopped[0].starts_with("stopped at without layers ["), "{}", record.stopped[0]);
    assert!(record.stopped[0].contains("nothing was taken out: perplexity"), "{}", record.stopped[0]);
    assert!(record.layers.iter().all(|layer| !layer.removed));
    assert_eq!(made.config, Config::read(&tiny::folder().join("config.json")).unwrap());
    let (old, new) = (tensors(&tiny::folder()), tensors(out.path()));
    assert!(old.iter().all(|(name, tensor)| tiny::distance(tensor, &new[name]) == 0.0));
}

#[test]
fn a_depth_leaves_the_last_layers_out_and_the_rest_as_it_was() {
    let (out, made) = pruned("[prune]\ndepth = 1");
    assert_eq!((made.config.num_hidden_layers, made.config.layer_types.len()), (1, 1));
    assert!(made.record.is_none());
    assert_works(out.path(), &repository().1);
    let (old, new) = (tensors(&tiny::folder()), tensors(out.path()));
    let stay = |name: &&String| !name.starts_with("model.layers.1.");
    assert_eq!(new.len(), old.keys().filter(stay).count());
    assert!(new.iter().all(|(name, tensor)| tiny::distance(tensor, &old[name]) == 0.0));
    // Neurons go from what is left.
    let (_, both) = pruned(&format!("[prune]\ndepth = 1\n[prune.ffn]\nkeep = 0.67\nprotect = {{ ends = 0 }}\n{OPEN}"));
    assert_eq!((both.config.num_hidden_layers, both.config.intermediate_size), (1, Widths::All(64)));
}

#[test]
fn a_recipe_without_layers_and_neurons_needs_no_model() {
    let (out, made) = prune_from(&tiny::folder(), &repository().1, &Prune::default()).unwrap();
    assert_eq!(files(out.path()), ["config.json", "model.safetensors", "tokenizer.json"]);
    assert!(made.record.is_none());
}

/// Runs the program in `repository` on the tiny model, up to this stage: its exit code, and what it tells.
fn run_program(repository: &Path, prune: &str) -> (Option<i32>, String) {
    let rest = fs::read_to_string(root().join("build/recipe.toml")).unwrap();
    let recipe = format!("{prune}\n{}", &rest[rest.find("[quantize]").unwrap()..]);
    fs::write(repository.join("recipe.toml"), recipe).unwrap();
    program::run_stages(repository, &tiny::folder(), &["--until", "prune"])
}

#[test]
fn the_program_tells_each_step_and_what_is_wrong_with_a_recipe() {
    let (repository, _) = repository();
    let (code, told) = run_program(repository.path(), "[prune.ffn]\nkeep = 1.5");
    assert!(code == Some(2) && told.contains("keep is 1.5"), "{told}");
    let (code, told) = run_program(repository.path(), "[prune.ffn]\nkeep = 0.5");
    assert!(code == Some(2) && told.contains("the recipe does not fit the base: [prune.ffn] protect"), "{told}");
    let good = format!("[prune.ffn]\nkeep = 0.34\nschedule = [0.34]\nprotect = {{ ends = 0 }}\n{OPEN}");
    let (code, told) = run_program(repository.path(), &good);
    assert!(code == Some(0) && told.contains("0.34 of the neurons: 33.3 % of all neurons, widths 32-32"), "{told}");
    assert!(repository.path().join("target/pipeline/2-prune").join(RECORD).exists());
    let (code, told) = run_program(repository.path(), &good);
    assert!(code == Some(0) && told.contains("2-prune    up to date"), "{told}");
}
