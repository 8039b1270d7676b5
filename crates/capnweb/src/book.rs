//! The book's pages and the README, so that their code is compiled and run with the
//! documentation's.

macro_rules! page {
    ($module:ident, $path:literal) => {
        #[doc = include_str!(concat!("../../../", $path))]
        mod $module {}
    };
}

page!(readme, "README.md");
page!(interfaces, "docs/interfaces.md");
page!(dynamic, "docs/dynamic.md");
page!(calls_and_pipelining, "docs/calls-and-pipelining.md");
page!(
    capabilities_and_disposal,
    "docs/capabilities-and-disposal.md"
);
#[cfg(feature = "describe")]
page!(typescript, "docs/typescript.md");
page!(values, "docs/values.md");
page!(streams, "docs/streams.md");
page!(fetch, "docs/fetch.md");
page!(map, "docs/map.md");
page!(errors, "docs/errors.md");
page!(sessions, "docs/sessions.md");
page!(lifetime, "docs/lifetime.md");
#[cfg(feature = "reconnect")]
page!(resilience, "docs/resilience.md");
page!(transports, "docs/transports.md");
#[cfg(feature = "webtransport")]
page!(webtransport, "docs/webtransport.md");
page!(limits, "docs/limits.md");
page!(performance, "docs/performance.md");
page!(reading_errors, "docs/reading-errors.md");
page!(testing, "docs/testing.md");
page!(coverage, "docs/coverage.md");
page!(protocol, "docs/protocol.md");
page!(
    differences_from_typescript,
    "docs/differences-from-typescript.md"
);
