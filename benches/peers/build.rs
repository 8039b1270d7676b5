//! Generates the clients and servers of the service for tonic and Cap'n Proto, without their
//! compilers, which would have to be installed.

use std::{env, error::Error};

use capnpc::codegen::CodeGenerationCommand;
use tonic_build::manual::{Builder, Method, Service};

const SCHEMA: &str = "src/bin/capnp/service.schema";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SCHEMA}");
    tonic();
    CodeGenerationCommand::new()
        .output_directory(env::var("OUT_DIR")?)
        .run(&*std::fs::read(SCHEMA)?)?;
    Ok(())
}

/// Generates the code for tonic. The messages are defined in `src/bin/tonic.rs`.
fn tonic() {
    let method = |name, route| {
        Method::builder()
            .name(name)
            .route_name(route)
            .codec_path("tonic_prost::ProstCodec")
    };
    let add = method("add", "Add")
        .input_type("crate::Pair")
        .output_type("crate::Sum");
    let echo = method("echo", "Echo")
        .input_type("crate::Payload")
        .output_type("crate::Payload");
    let service = Service::builder()
        .package("capnweb.peers")
        .name("Service")
        .method(add.build())
        .method(echo.build())
        .build();
    Builder::new().compile(&[service]);
}
