//! interim
#[path = "stages.rs"]
#[allow(dead_code)]
mod stages;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let recipe = stages::recipe::Recipe::load(Some(std::path::Path::new(&a[1]))).expect("x");
    let t = std::time::Instant::now();
    std::fs::create_dir_all(&a[3]).expect("x");
    stages::quantize::run(
        &recipe.tables.quantize,
        std::path::Path::new(&a[2]),
        std::path::Path::new(&a[3]),
        &indicatif::ProgressBar::new(0),
    )
    .expect("x");
    println!("{:?}", t.elapsed());
}
