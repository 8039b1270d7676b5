//! The connector for the transports of this library, of which each platform has its own.

/// Applies the settings of an attempt to a transport's builder, then those of the application. The
/// builders have these methods in common, but no trait.
#[cfg(any(
    all(
        any(feature = "ws", feature = "webtransport"),
        not(all(target_family = "wasm", target_os = "unknown"))
    ),
    all(feature = "web", target_family = "wasm", target_os = "unknown")
))]
macro_rules! configured {
    ($connect:expr, $attempt:expr, $adjust:expr) => {{
        let mut connect = $connect
            .options($attempt.options().clone())
            .timeout($attempt.timeout());
        if let Some(main) = $attempt.main() {
            connect = connect.main(main.clone());
        }
        match $adjust {
            Some(adjust) => adjust(connect),
            None => connect,
        }
    }};
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod native;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod web;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use native::Transports;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use web::Transports;
