//! GET /api/all by axum and reqwest on one thread: asks every service at once and splices the
//! answers, checked but not decoded, under the services' names in the order given.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{header::CONTENT_TYPE, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{routing::get, serve::ListenerExt, Router};
use bytes::Bytes;
use futures::future::try_join_all;
use reqwest::{Client, Url};
use serde_json::value::RawValue;

#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALL_TIMEOUT: Duration = Duration::from_secs(10);

struct Service {
    name: String,
    url: Url,
}

struct Gateway {
    client: Client,
    services: Vec<Service>,
}

async fn part(client: &Client, service: &Service) -> Result<Bytes, String> {
    let told = |e: reqwest::Error| format!("{}: {e}", service.name);
    let answer = client
        .get(service.url.clone())
        .timeout(CALL_TIMEOUT)
        .send()
        .await
        .and_then(|answer| answer.error_for_status())
        .map_err(told)?;

    answer.bytes().await.map_err(told)
}

async fn all(State(gateway): State<Arc<Gateway>>) -> Response {
    let calls = gateway.services.iter().map(|service| part(&gateway.client, service));

    match try_join_all(calls).await.and_then(|parts| merge(&gateway.services, &parts)) {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(cause) => (StatusCode::BAD_GATEWAY, cause).into_response(),
    }
}

fn merge(services: &[Service], parts: &[Bytes]) -> Result<Vec<u8>, String> {
    let mut body = Vec::with_capacity(parts.iter().map(|part| part.len() + 32).sum());

    for (i, (service, part)) in services.iter().zip(parts).enumerate() {
        let json: &RawValue =
            serde_json::from_slice(part).map_err(|e| format!("{}: {e}", service.name))?;

        body.push(if i == 0 { b'{' } else { b',' });
        serde_json::to_writer(&mut body, &service.name).map_err(|e| e.to_string())?;
        body.push(b':');
        body.extend_from_slice(json.get().as_bytes());
    }
    body.push(b'}');
    Ok(body)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().expect("usage: axum_gateway HOST:PORT NAME=URL...");
    let services = args
        .map(|arg| {
            let (name, url) = arg.split_once('=').expect("a service is NAME=URL");
            Service { name: name.into(), url: url.parse().expect("a service's URL") }
        })
        .collect();
    let client = Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(usize::MAX)
        .tcp_nodelay(true)
        .build()
        .expect("a client");
    let app = Router::new()
        .route("/api/all", get(all))
        .with_state(Arc::new(Gateway { client, services }));
    let listener = tokio::net::TcpListener::bind(address).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });

    axum::serve(listener, app).await
}
