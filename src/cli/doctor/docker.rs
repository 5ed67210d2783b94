//! The Docker engine and what it has.

use keydb_harness::spec::{DEFAULT_HAPROXY_IMAGE, HaproxySpec, KeydbSpec};
use keydb_harness::testbed::Program;
use keydb_harness::testbed::docker::DockerTestbed;

use super::row::Row;
use crate::cli::engine;

const ENGINE: &str = "Docker engine";

pub(super) async fn rows() -> Vec<Row> {
    let testbed = match DockerTestbed::connect().await {
        Ok(testbed) => testbed,
        Err(error) => return vec![Row::refused(ENGINE, &error)],
    };
    let haproxy = HaproxySpec::Image(DEFAULT_HAPROXY_IMAGE.to_owned());
    vec![
        match engine::version().await {
            Ok(version) => Row::here(ENGINE, format!("version {version}")),
            Err(error) => Row::refused(ENGINE, &error),
        },
        image(
            &testbed,
            "KeyDB image",
            "--keydb",
            Program::Keydb(KeydbSpec::default()),
        )
        .await,
        image(
            &testbed,
            "HAProxy image",
            "--haproxy",
            Program::Haproxy(haproxy),
        )
        .await,
        own_images().await,
    ]
}

async fn image(testbed: &DockerTestbed, thing: &str, flag: &str, program: Program) -> Row {
    let reference = match testbed.image_of(&program).await {
        Ok(reference) => reference,
        Err(error) => return Row::refused(thing, &error),
    };
    if testbed.image_present(&reference).await {
        return Row::here(thing, reference);
    }
    Row::missing(
        thing,
        format!("{reference} is not on the engine"),
        &format!("a run pulls it, or `docker load` it, or use {flag} image:REF or path:FILE"),
    )
}

/// Made here, not fetched; none is needed.
async fn own_images() -> Row {
    const THING: &str = "local images";
    match engine::own_images().await {
        Ok(names) if names.is_empty() => Row::here(THING, "no keydb-harness/* (none is needed)"),
        Ok(names) => Row::here(THING, names.join(", ")),
        Err(error) => Row::refused(THING, &error),
    }
}
