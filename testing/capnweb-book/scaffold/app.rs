let app = axum::Router::new();
let (_stop, stopped) = tokio::sync::oneshot::channel::<()>();
