//! `pipeline retrieval` measures a bundle with the vectors and the recipe that it was made with, and refuses any others.

use crate::{
    pipeline::{GOOD, assemble_from, recipe},
    stages::{
        artifact::{Artifact, Artifacts, finished},
        embed, encoder,
        questions::{
            DEVELOPMENT, DEVELOPMENT_VARIANTS, NARROW_DEVELOPMENT, NARROW_TEST, REFUSALS, TEST, TEST_VARIANTS,
            VALIDATION,
        },
        recipe::Tables,
        retrieval::{self, RetrievalError},
        sources::{self, CLIMATE, Sources},
    },
    tiny_bundle::{entry, repository},
};
use indicatif::ProgressBar;
use serde_json::json;
use std::{fs, path::Path};
use tomato_assistant::{bundle::VECTORS, knowledge::vectors::Vectors};

/// Makes the vectors in `pipeline` anew, by `tables`.
fn embed_again(pipeline: &Path, tables: &Tables, sources: &Sources) -> Artifact {
    let encoder = finished(pipeline, &encoder::STAGE).unwrap();
    let made = Artifacts::open(pipeline).unwrap().produce(
        &embed::STAGE,
        embed::origin(&tables.embed, &encoder, sources),
        |out| embed::run(&tables.embed, &encoder, sources, out, &ProgressBar::hidden()),
    );
    made.unwrap()
}

#[test]
fn every_sixth_question_for_how_the_greenhouse_stands_is_kept_to_measure_with() {
    let lines: Vec<String> = (1..=13).map(|number| number.to_string()).collect();
    let [learnt, held] = sources::state(&lines.join("\n"));
    assert_eq!((learnt.len(), held), (11, vec!["6".to_owned(), "12".into()]));
    assert!(learnt.iter().all(|line| lines.contains(line)));
}

#[test]
fn only_what_was_made_together_is_measured() {
    let root = repository(&format!("[{}, {}]", entry("one", ""), entry("two", "").replace("Why", "How")));
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(CLIMATE), root.path().join(CLIMATE)).unwrap();
    let asked = json!([{
        "id": "q-1", "category": "disease_management", "question": "Why so?", "kind": "plain", "entries": ["one"],
        "facts": [],
    }]);
    for (name, asked) in [
        (DEVELOPMENT, asked.to_string()),
        (VALIDATION, asked.to_string()),
        (TEST, asked.to_string()),
        (DEVELOPMENT_VARIANTS, "[]".into()),
        (NARROW_DEVELOPMENT, r#"[{"entry": "one", "question": "Why so?", "answer": ["So."]}]"#.into()),
        (NARROW_TEST, "[]".into()),
        (TEST_VARIANTS, "[]".into()),
        (
            REFUSALS,
            r#"[{"question": "How so?"}, {"question": "a goat", "why": "off_topic"}, {"question": "warm?", "state": true}]"#
                .into(),
        ),
    ] {
        fs::write(root.path().join(name), asked).unwrap();
    }
    let pipeline = assemble_from(root.path()).unwrap();
    let (tables, sources) = (recipe(GOOD).unwrap().tables, Sources::find(root.path()).unwrap());
    let other = recipe(&GOOD.replace("learning_rate = 0.001", "learning_rate = 0.01")).unwrap().tables;
    let measure = |tables: &Tables| retrieval::run(pipeline.path(), tables, root.path());
    let refused = |tables: &Tables| measure(tables).err().unwrap();
    let report = measure(&tables).unwrap().text;
    assert!(report.contains("development: 1 questions") && report.contains("each left out of the index"), "{report}");
    assert!(report.contains(" of 1 off topic, ") && report.contains("refused: 0 of 1 real"), "{report}");
    // How the greenhouse stands: the repository's file has one line, which is learnt from.
    let stands = |name: &str, refused: usize, of: usize| {
        let line = format!("{name}: 0 by these alone, 0 by these and an entry, {refused} refused, of {of}\n");
        assert!(report.contains(&line), "{line} is not in {report}");
    };
    stands("learnt from", 0, 0);
    stands("no file", 1, 1);
    let vectors = fs::read(pipeline.path().join("8-embed").join(VECTORS)).unwrap();
    let vectors = Vectors::parse(&vectors, sources.searched().unwrap().entries()).unwrap();
    assert!(vectors.examples().iter().all(|examples| examples.len() == 1), "{:?}", vectors.examples());

    let error = refused(&other);
    assert!(matches!(error, RetrievalError::OtherRecipe) && error.to_string().contains("--recipe FILE"), "{error}");
    // Stage embed ran since, the bundle was not made again.
    embed_again(pipeline.path(), &other, &sources);
    for tables in [&tables, &other] {
        let error = refused(tables);
        assert!(
            matches!(error, RetrievalError::OtherVectors) && error.to_string().contains("--until bundle"),
            "{error}"
        );
    }
    embed_again(pipeline.path(), &tables, &sources);
    measure(&tables).unwrap();
    fs::remove_dir_all(pipeline.path().join("8-embed")).unwrap();
    assert!(matches!(refused(&tables), RetrievalError::OtherVectors));
    fs::remove_dir_all(pipeline.path().join("10-bundle")).unwrap();
    let error = refused(&tables);
    assert!(matches!(error, RetrievalError::Bundle(_)) && error.to_string().contains("Make it first"), "{error}");
}
