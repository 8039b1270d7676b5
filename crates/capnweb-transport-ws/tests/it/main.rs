//! WebSockets over real sockets.

mod closing;
mod connecting;
mod frames;
mod support;
mod talking;
mod tls;
mod upgrading;
