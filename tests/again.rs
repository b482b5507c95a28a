//! `--from` and `--until`: which stages are made again, and that nothing is lost before something new is there.

use crate::{
    program,
    stages::{
        arguments::{Name, between},
        artifact::{ArtifactError, Artifacts, Origin, Stage},
    },
    tiny,
    tiny_bundle::{entry, repository},
};
use std::{collections::BTreeMap, fs, io, path::Path};
use tempfile::tempdir;

#[test]
fn a_stage_that_is_to_be_made_again_keeps_what_it_left_until_that_worked() {
    let dir = tempdir().unwrap();
    let [first, second, third] = [1, 2, 3].map(|number| Stage { number, name: "test", revision: 1 });
    let open = || Artifacts::open(dir.path()).unwrap();
    let produce = |artifacts: &Artifacts, stage: &Stage, word: Option<&str>| {
        artifacts.produce(stage, Origin::new(stage, &(), BTreeMap::new()), |out| {
            fs::write(out.join("file"), word.unwrap_or_default()).unwrap();
            let fault = || ArtifactError::Io { path: out.into(), source: io::ErrorKind::StorageFull.into() };
            word.map(drop).ok_or_else(fault)
        })
    };
    let held = |stage: &Stage| fs::read_to_string(dir.path().join(stage.folder()).join("file")).unwrap();
    let all = [&first, &second, &third];
    let artifacts = open();
    all.iter().for_each(|stage| drop(produce(&artifacts, stage, Some("old")).unwrap()));
    drop(artifacts);

    // It fails at once: all three are still there, and a later run finds them up to date.
    let mut artifacts = open();
    artifacts.make_again(&[second, third]);
    assert!(produce(&artifacts, &first, None).unwrap().reused);
    produce(&artifacts, &second, None).unwrap_err();
    assert_eq!(all.map(held), ["old"; 3]);
    drop(artifacts);
    let artifacts = open();
    assert!(all.iter().all(|stage| produce(&artifacts, stage, None).unwrap().reused));
    drop(artifacts);

    // It works: those and no others are made, from the same things as before.
    let mut artifacts = open();
    artifacts.make_again(&[second]);
    assert!(produce(&artifacts, &first, Some("new")).unwrap().reused);
    assert!(!produce(&artifacts, &second, Some("new")).unwrap().reused);
    assert!(produce(&artifacts, &third, Some("new")).unwrap().reused);
    assert_eq!(all.map(held), ["old", "new", "old"]);
}

#[test]
fn stages_are_made_again_from_one_to_another() {
    let names = |from, until| between(from, until).unwrap().iter().map(|stage| stage.name).collect::<Vec<_>>();
    assert!(names(None, None).is_empty() && names(None, Some(Name::Merge)).is_empty());
    assert_eq!(names(Some(Name::Encoder), None), ["encoder", "embed", "bundle"]);
    assert_eq!(names(Some(Name::Prune), Some(Name::Merge)), ["prune", "recover", "finetune", "merge"]);
    assert_eq!(names(Some(Name::Bundle), Some(Name::Bundle)), ["bundle"]);
    let error = between(Some(Name::Embed), Some(Name::Prune)).unwrap_err();
    assert!(error.contains("--until stops before") && error.contains("name a later one"), "{error}");
}

#[test]
fn the_program_touches_nothing_outside_of_its_range() {
    let (repository, nowhere) = (repository(&format!("[{}]", entry("one", ""))), Path::new("nowhere"));
    fs::write(repository.path().join("recipe.toml"), crate::pipeline::GOOD).unwrap();
    let folder = repository.path().join("target/pipeline");
    let later = folder.join("6-quantize");
    fs::create_dir_all(&later).unwrap();
    let run = |base: &Path, arguments: &[&str]| program::run_stages(repository.path(), base, arguments);
    let (code, told) = run(&tiny::folder(), &["--until", "prune"]);
    assert_eq!(code, Some(0), "{told}");
    let records = || ["1-import", "2-prune"].map(|stage| fs::read(folder.join(stage).join("record.json")).unwrap());
    let before = records();

    let (code, told) = run(&tiny::folder(), &["--from", "prune", "--until", "prune"]);
    assert!(code == Some(0) && told.contains("1-import   up to date") && told.contains("2-prune    made"), "{told}");
    // The base is not there: what was made of it before is.
    let made = records();
    let (code, told) = run(nowhere, &["--from", "import"]);
    assert!(code == Some(1) && told.contains("nowhere"), "{told}");
    assert!(records() == made && made[0] == before[0] && later.is_dir());
    let (code, told) = run(&tiny::folder(), &["--from", "prune", "--until", "import"]);
    assert!(code == Some(2) && told.contains("--until stops before"), "{told}");
}
