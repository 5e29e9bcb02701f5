//! Trace context across a lane, as W3C `traceparent` and `tracestate` metadata.

use http::{HeaderMap, Request};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Writes the current span's context into the headers of a call that leaves.
pub fn inject(headers: &mut HeaderMap) {
    let context = Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
}

/// The span in which a call that arrived is served; its parent is the caller's.
pub fn server_span<B>(request: &Request<B>) -> Span {
    let path = request.uri().path().trim_start_matches('/');
    let span = tracing::info_span!("rpc", "rpc.system" = "grpc", "rpc.method" = path);
    let context = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
    // Refused only by a subscriber without OpenTelemetry, where there is no context to keep.
    let _ = span.set_parent(context);
    span
}
