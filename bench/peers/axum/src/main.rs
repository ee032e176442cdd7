//! The two small answers of `examples/hello`, by axum on one thread.

use axum::{routing::get, serve::ListenerExt, Json, Router};
use serde::Serialize;

#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

async fn plaintext() -> &'static str {
    "Hello, World!"
}

async fn json() -> Json<Message> {
    Json(Message { message: "Hello, World!" })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: axum_hello HOST:PORT");
    let app = Router::new().route("/plaintext", get(plaintext)).route("/json", get(json));
    let listener = tokio::net::TcpListener::bind(address).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });

    axum::serve(listener, app).await
}
