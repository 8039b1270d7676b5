//! Links fixed random numbers into the fuzz targets, so that a run can be repeated.

fn main() {
    println!("cargo::rerun-if-changed=fixed_random.c");
    cc::Build::new()
        .file("fixed_random.c")
        .cargo_metadata(false)
        .compile("fixed_random");
    // Only a weak symbol refers to it.
    let folder = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    println!("cargo::rustc-link-search=native={folder}");
    println!("cargo::rustc-link-lib=static:+whole-archive=fixed_random");
}
