//! The small HTTP port: is the service alive, is it ready, what has it counted.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::counters::CounterLine;
use super::door::Door;
use super::shared::{Shared, Stage};
use crate::stopwatch::cpu_time;

/// Connections at a time; a further one waits until another closes.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of a request's head. Bodies are not read: a request with one is answered and its connection closed.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header lines of a request.
const HEADERS_MAX: usize = 64;
/// Time for a client to send its request's head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(2);

/// Serves the port until the task is dropped.
pub async fn serve(shared: Arc<Shared>, mut door: Door) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("this semaphore is never closed");
        let socket = door.next().await;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, &request).await) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
            // Probes come seldom: a connection that stayed open would only hold a place from the next one.
            server.keep_alive(false);
            server.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
            // A client that breaks off or speaks another protocol concerns nobody else.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer<B>(shared: &Shared, request: &Request<B>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n".to_owned());
        refused.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/health/live" => text(StatusCode::OK, "alive\n".to_owned()),
        "/health/ready" | "/heartbeat" | "/healthcheck" => match shared.stage() {
            Stage::Ready => text(StatusCode::OK, "ready\n".to_owned()),
            Stage::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n".to_owned()),
            Stage::Degraded => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "degraded: the journal has failed, nothing is learned\n".to_owned(),
            ),
            Stage::Stopping => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
        },
        "/metrics" => text(StatusCode::OK, prometheus(&shared.counter_lines().await, cpu_time())),
        _ => text(
            StatusCode::NOT_FOUND,
            "there is /health/live, /health/ready and /metrics here; gRPC has a port of its own\n".to_owned(),
        ),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// Name and kind of what a series is part of.
fn family(series: &str) -> (&str, &'static str) {
    let histogram = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| series.strip_suffix(end));
    match histogram {
        Some(name) => (name, "histogram"),
        None if series.ends_with("_total") => (series, "counter"),
        None => (series, "gauge"),
    }
}

/// CPU time and counters in Prometheus' text format.
fn prometheus(lines: &[CounterLine], cpu: Duration) -> String {
    let name = "process_cpu_seconds_total";
    let mut out = format!("# TYPE {name} counter\n{name} {:.6}\n", cpu.as_secs_f64());
    let mut last = "";
    for line in lines {
        let (name, kind) = family(&line.name);
        if name != last {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "# TYPE {name} {kind}");
            last = name;
        }
        let _ = match line.label {
            Some((name, value)) => writeln!(out, "{}{{{name}=\"{value}\"}} {}", line.name, line.value),
            None => writeln!(out, "{} {}", line.name, line.value),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_read_as_prometheus_wants_them() {
        let line = |name: &'static str, label, value| CounterLine { name: name.into(), label, value };
        let lines = [
            line("inkling_a_total", None, 1),
            line("inkling_b_total", Some(("code", "x")), 2),
            line("inkling_b_total", Some(("code", "y")), 3),
            line("inkling_profiles", None, 4),
            line("inkling_c_bucket", Some(("le", "+Inf")), 5),
            line("inkling_c_sum", None, 6),
            line("inkling_c_count", None, 5),
        ];
        let expected = "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 61.000250\n\
                        # TYPE inkling_a_total counter\ninkling_a_total 1\n\
                        # TYPE inkling_b_total counter\ninkling_b_total{code=\"x\"} 2\ninkling_b_total{code=\"y\"} 3\n\
                        # TYPE inkling_profiles gauge\ninkling_profiles 4\n\
                        # TYPE inkling_c histogram\ninkling_c_bucket{le=\"+Inf\"} 5\ninkling_c_sum 6\n\
                        inkling_c_count 5\n";
        assert_eq!(prometheus(&lines, Duration::from_micros(61_000_250)), expected);
    }
}
