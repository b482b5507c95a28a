//! What a recipe may ask of pruning, what is protected, and what the gate lets through.

use crate::{
    stages::{
        adapter::Matrix,
        config_json::{Config, Widths},
        dense::Loss,
        prune::{
            PruneError,
            continuation::{Continuation, PROMPTS},
            gate::Gate,
            plan::{Ffn, Layers},
            way::Protect,
            yardstick::Figures,
        },
        recipe::{Learn, Recipe, Recover},
    },
    tiny,
    tiny_pruned::{prune_from, recipe, repository, root},
};

#[test]
fn protection_is_by_cost_or_by_place() {
    let added = [0.2, 5.0, 0.1, 0.9, 0.05, 0.3];
    assert_eq!(Protect::Sensitive(2).open(&added), [0, 2, 4, 5]);
    assert_eq!(Protect::Sensitive(0).open(&added), [0, 1, 2, 3, 4, 5]);
    assert_eq!(Protect::Sensitive(9).open(&added), [0; 0]);
    assert_eq!(Protect::Ends(2).open(&added), [2, 3]);
    assert_eq!(Protect::Ends(3).open(&added), [0; 0]);
    assert_eq!(Protect::default(), Protect::Sensitive(5));
}

#[test]
fn recipes_that_cannot_be_are_refused_with_words() {
    for (text, expected) in [
        ("[prune.ffn]\nkeep = 1.2", "[prune.ffn] keep is 1.2; it is the share of neurons that stay"),
        ("[prune.ffn]\nkeep = 0.0", "above 0 and at most 1"),
        ("[prune.ffn]\nkeep = nan", "keep is NaN"),
        ("[prune.ffn]\nschedule = [0.9]", "missing field `keep`"),
        ("[prune.ffn]\nkeep = 0.8\nschedule = [0.9, 0.7]", "fall from step to step and end at keep, 0.8"),
        ("[prune.ffn]\nkeep = 0.8\nschedule = [0.7, 0.8]", "schedule is [0.7, 0.8]"),
        ("[prune.ffn]\nkeep = 0.8\nschedule = [1.1, 0.8]", "shares of at most 1"),
        ("[prune.ffn]\nkeep = 0.8\nschedule = []", "end at keep"),
        ("[prune.ffn]\nkeep = 0.8\nkept = 3", "unknown field `kept`"),
        ("[prune.ffn]\nkeep = 0.8\nscore = \"size\"", "unknown variant `size`, expected `activity` or `weights`"),
        ("[prune.ffn]\nkeep = 0.8\nfit = \"ridge\"", "expected `none` or `least_squares`"),
        ("[prune.ffn]\nkeep = 0.8\nshares = \"all\"", "expected `sensitivity` or `equal`"),
        ("[prune.ffn]\nkeep = 0.8\nprotect = { first = 2 }", "expected `sensitive` or `ends`"),
        ("[prune.ffn]\nkeep = 0.8\nprotect = { sensitive = 2, ends = 2 }", "exactly 1"),
        ("[prune.ffn]\nkeep = 0.8\ngate = { tomato = 0.8 }", "gate = { tomato = 0.8 }; it is the most"),
        ("[prune.ffn]\nkeep = 0.8\ngate = { korean = 2.0 }", "unknown field `korean`"),
        ("[prune.layers]\nremove = 0", "[prune.layers] remove is 0; leave the table out"),
        ("[prune.layers]\nremove = 1\ngate = { general = nan }", "[prune.layers] gate = { general = NaN }"),
        ("[prune.heads]\nremove = 1", "unknown field `heads`"),
    ] {
        let message = recipe(text).unwrap_err();
        assert!(message.contains(expected) && message.contains("recipe.toml"), "{text}\n{message}");
    }
    let ffn = |text: &str| recipe(&format!("[prune.ffn]\n{text}")).unwrap().ffn.unwrap();
    assert_eq!(ffn("keep = 0.6").steps(), [0.90, 0.85, 0.80, 0.75, 0.6]);
    assert_eq!(ffn("keep = 0.82").steps(), [0.90, 0.85, 0.82]);
    assert_eq!(ffn("keep = 0.8\ngate = { general = 1.5 }").gate, Gate { general: 1.5, ..Gate::default() });
}

#[test]
fn a_base_that_does_not_fit_is_refused_before_any_work() {
    let tiny = Config::read(&tiny::folder().join("config.json")).unwrap();
    let refused = |text: &str, config: &Config| recipe(text).unwrap().check_fit(config).unwrap_err().to_string();
    let uneven = Config { intermediate_size: Widths::All(100), ..tiny.clone() };
    let narrowed = Config { intermediate_size: Widths::Each(vec![96, 64]), ..tiny.clone() };
    for (message, expected) in [
        (refused("[prune]\ndepth = 3", &tiny), "[prune] depth is 3, and the base has 2 layers; name 1 to 2"),
        (refused("[prune]\ndepth = 0", &tiny), "depth is 0"),
        (refused("[prune]\ndepth = 1\n[prune.layers]\nremove = 1", &tiny), "the base has 1 layers"),
        (refused("[prune.layers]\nremove = 2", &tiny), "remove is 2, and the base has 2 layers"),
        (refused("[prune.ffn]\nkeep = 0.8", &tiny), "protect leaves none of 2 layers to narrow (5 are protected)"),
        (refused("[prune.ffn]\nkeep = 0.8\nprotect = { ends = 1 }", &tiny), "none of 2 layers"),
        (
            refused("[prune.layers]\nremove = 1\n[prune.ffn]\nkeep = 0.8\nprotect = { sensitive = 1 }", &tiny),
            "none of 1 layers",
        ),
        (refused("[prune.ffn]\nkeep = 0.8\nprotect = { ends = 0 }", &uneven), "100 neurons wide, no multiple of 32"),
        (refused("[prune.ffn]\nkeep = 0.8\nprotect = { ends = 0 }", &narrowed), "it was narrowed before"),
    ] {
        assert!(message.contains(expected), "{message}");
    }
    let error = prune_from(&tiny::folder(), &repository().1, &recipe("[prune.ffn]\nkeep = 0.8").unwrap());
    assert!(matches!(error, Err(PruneError::Plan(_))));
}

/// A model's figures: its perplexities, and the same numbers for each of its texts.
fn figures(perplexities: [f64; 2], special: usize, latin: f64, repeated: f64, text: &str) -> Figures {
    let figure = |perplexity: f64| Loss { tokens: 1, bytes: 4, nats: perplexity.ln() }.into();
    let one = |(prompt, english)| Continuation { prompt, english, text: text.into(), special, latin, repeated };
    let texts = PROMPTS.into_iter().map(one).collect();
    Figures { tomato: figure(perplexities[0]), general: figure(perplexities[1]), texts }
}

#[test]
fn the_gate_judges_by_the_unpruned_model() {
    let unpruned = figures([37.0, 27.0], 0, 0.9, 0.3, "a plant");
    let faults = |now: Figures| Gate::default().faults(&unpruned, &now);
    assert_eq!(faults(figures([46.2, 37.7], 0, 0.81, 0.49, "a plant")), [""; 0]);
    for (now, count, expected) in [
        (figures([47.0, 27.0], 0, 0.9, 0.3, "a plant"), 1, "perplexity on tomato text is 1.27 times"),
        (
            figures([37.0, 39.0], 0, 0.9, 0.3, "a plant"),
            1,
            "general text is 1.44 times the unpruned model's, at most 1.4",
        ),
        (figures([f64::NAN, 27.0], 0, 0.9, 0.3, "a plant"), 1, "tomato text is NaN times"),
        (figures([37.0, f64::INFINITY], 0, 0.9, 0.3, "a plant"), 1, "general text is inf times"),
        (figures([37.0, 27.0], 0, 0.9, 0.6, "a plant"), 1, "its texts loop: 60 % of their 4-grams are repeated, 30 %"),
        (
            figures([37.0, 27.0], 2, 0.9, 0.3, "a plant"),
            5,
            "it writes 2 special tokens after \"Tomatoes are\", unpruned 0",
        ),
        (
            figures([37.0, 27.0], 0, 0.1, 0.3, "1 2 3 4"),
            3,
            "only 10 % of what it writes after \"Tomatoes are\" is Latin",
        ),
        (figures([37.0, 27.0], 0, 0.0, 0.0, " "), 5, "nothing to say after \"토마토는\""),
    ] {
        let faults = faults(now);
        assert!(faults.len() == count && faults.iter().any(|fault| fault.contains(expected)), "{faults:?}");
    }
    let ratios_only = Gate { texts: false, ..Gate::default() };
    assert_eq!(ratios_only.faults(&unpruned, &figures([37.0, 27.0], 9, 0.0, 1.0, "")), [""; 0]);
}

#[test]
fn the_recipes_beside_the_shipped_one_say_what_they_are_for() {
    let load = |name: &str| Recipe::load(Some(&root().join("build").join(name))).unwrap().tables;
    let seed = load("recipe-seed.toml");
    assert!(seed.finetune.is_none() && seed.prune.vocabulary.is_none() && seed.prune.layers.is_none());
    let Ffn { keep, protect, gate, .. } = seed.prune.ffn.clone().unwrap();
    assert_eq!((keep, protect, gate.texts), (0.75, Protect::Ends(4), false));
    assert_eq!(seed.prune.ffn.unwrap().steps(), [0.90, 0.85, 0.80, 0.75]);
    let Recover { learn, shape, learning_rate, batch, epochs, .. } = seed.recover.unwrap();
    assert_eq!((learn, shape.rank, shape.alpha, shape.targets), (Learn::Padded, 4, 32.0, vec![Matrix::Q, Matrix::V]));
    assert_eq!((learning_rate, batch, epochs), (2e-5, 1, 3));
    let (narrow, shipped) = (load("recipe-narrow.toml"), Recipe::load(None).unwrap().tables);
    assert_eq!((narrow.prune.vocabulary, narrow.finetune), (shipped.prune.vocabulary, shipped.finetune));
    assert_eq!((narrow.encoder, narrow.bundle.gates), (shipped.encoder, shipped.bundle.gates));
    // Else the adapter would not have learnt with the table that is shipped.
    assert_eq!(shipped.prune.embedding, Some(shipped.quantize.embedding));
    assert_eq!(narrow.prune.ffn.unwrap().gate, Gate { tomato: 1.25, general: 1.4, texts: true });
    assert_eq!((shipped.prune.layers, shipped.prune.ffn), (None, None));
    let layers = recipe("[prune.layers]\nremove = 2").unwrap().layers.unwrap();
    assert_eq!(layers, Layers { remove: 2, gate: Gate::default() });
}
