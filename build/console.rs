//! What the pipeline tells on standard error while it works: bars, and a line for what each stage made.
//!
//! Turns what stages return into text, for people and for the log. Does NOT know the order of stages.

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    artifact::{Artifact, Stage},
    encoder::Made,
    finetune::Record,
    import::Imported,
    prune::{Pruned, record::Step},
    recover, size,
};

/// The model that was imported.
pub fn describe(imported: &Imported) {
    let Imported { config, parameters, bytes, golden_texts } = imported;
    let line = format!(
        "{:.1} M parameters in {} layers, {:.2} MiB as f32 ({bytes} bytes with header); {golden_texts} texts give the \
         token ids of two other tokenizers",
        *parameters as f64 / 1e6,
        config.num_hidden_layers,
        size::mebibytes_f32(config)
    );
    tell(&line);
}

/// A step of pruning that was judged.
pub fn describe_step(step: &Step) {
    tell(&step.line());
}

/// The model that was pruned.
pub fn describe_pruned(pruned: &Pruned) {
    let Pruned { config, rows_before, same_tokens, record } = pruned;
    for stopped in record.iter().flat_map(|record| &record.stopped) {
        tell(stopped);
    }
    let (rows, millions) = (config.vocab_size, size::parameters(config) as f64 / 1e6);
    let texts = same_tokens
        .map(|(same, of)| format!("; {same} of {of} questions and answers have the tokens they had"))
        .unwrap_or_default();
    tell(&format!("{rows} of {rows_before} pieces, {millions:.1} M parameters{texts}"));
}

/// What was learnt back.
pub fn describe_recovery(recovered: recover::Record) {
    let [first, last] = recovered.losses;
    tell(&format!("learnt back: loss {first:.3} in the first tenth of what was read, {last:.3} in the last"));
}

/// The training that was done.
pub fn describe_training(record: Record) {
    let Record { parameters, tokens, curve, best, .. } = record;
    let Some(kept) = curve.iter().find(|check| check.step == best) else { return };
    tell(&format!(
        "{:.2} M parameters trained on {tokens} tokens a pass in {:.0} s; kept step {best}: held-out loss {:.3}, {:.1} % of \
         questions about details, {:.1} % of references, {:.1} % of questions' kinds right. It is used from now on; to ship it, copy adapter_model.safetensors, \
         adapter_config.json and training.json from this stage's folder into data/model",
        parameters as f64 / 1e6,
        curve.last().map_or(0.0, |check| check.seconds),
        kept.held_out,
        100.0 * kept.narrow,
        100.0 * kept.reference,
        100.0 * kept.told
    ));
}

/// The sentence encoder that was made.
pub fn describe_encoder(made: &Made) {
    let Made { pieces, of, bytes, cosines } = made;
    let kept: Vec<f32> = cosines.iter().filter(|(_, kept)| *kept).map(|(cosine, _)| *cosine).collect();
    let compared = match cosines.is_empty() {
        true => "not compared with recorded vectors: it is another encoder".into(),
        false => format!(
            "cosine with the original {:.4} on average and {:.4} at least, over {} of {} recorded sentences",
            kept.iter().sum::<f32>() / kept.len() as f32,
            kept.iter().copied().fold(1.0, f32::min),
            kept.len(),
            cosines.len()
        ),
    };
    tell(&format!("{pieces} of {of} pieces, {:.2} MB; {compared}", *bytes as f64 / 1e6));
}

/// To standard error and the log.
fn tell(line: &str) {
    log::info!("{line}");
    eprintln!("{line}");
}

/// A stage that is done.
pub fn report(stage: &Stage, artifact: &Artifact) {
    let megabytes = artifact.bytes() as f64 / 1e6;
    let how = if artifact.reused { "up to date".into() } else { format!("made in {:.1} s", artifact.record.seconds) };
    eprintln!("{:<10} {how}, {megabytes:.0} MB", stage.folder());
}

/// A bar that counts bytes, on standard error; nothing when that is no terminal.
pub fn bar(name: &'static str) -> ProgressBar {
    progress(name, "{prefix:<10} [{wide_bar}] {bytes}/{total_bytes} {eta}")
}

/// The same, counting things.
pub fn counter(name: &'static str) -> ProgressBar {
    progress(name, "{prefix:<10} [{wide_bar}] {pos}/{len} {eta}")
}

/// The same, counting tokens, with their speed.
pub fn tokens(name: &'static str) -> ProgressBar {
    progress(name, "{prefix:<10} [{wide_bar}] {pos}/{len} tokens, {per_sec}, {eta} left")
}

/// The same, in percent, of work that is known beforehand.
pub fn share(name: &'static str) -> ProgressBar {
    progress(name, "{prefix:<10} [{wide_bar}] {percent} %, {eta} left")
}

fn progress(name: &'static str, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template has no other keys than indicatif's own");
    ProgressBar::new(0).with_style(style).with_prefix(name)
}
