//! The aarch64 image: cross.toml, which a reader looks for, and Cargo.toml, which cross reads, must say the same.

use std::fs;
use std::path::Path;

fn table(file: &str) -> toml::Table {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap().parse().unwrap()
}

#[test]
fn cargo_toml_repeats_cross_toml() {
    let cargo = table("Cargo.toml");
    assert_eq!(cargo["package"]["metadata"]["cross"].as_table().unwrap(), &table("cross.toml"));
}

#[test]
fn the_image_exists_and_is_debian_12() {
    let cross = table("cross.toml");
    let file = cross["target"]["aarch64-unknown-linux-gnu"]["dockerfile"]["file"].as_str().unwrap();
    let image = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    assert!(image.lines().any(|line| line.starts_with("FROM debian:bookworm")), "glibc must stay at 2.36:\n{image}");
}
