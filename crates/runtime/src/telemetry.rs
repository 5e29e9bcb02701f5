//! Logs to standard error and, when an endpoint is set, traces by OTLP; when an address is set, metrics for Prometheus.
//!
//! Whoever measures uses the macros of the `metrics` crate, which cost next to nothing while nobody listens.

use std::io::IsTerminal;
use std::net::SocketAddr;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::{Deserialize, Deserializer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Section `[telemetry]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What is logged, in the language of `tracing_subscriber::EnvFilter`: `info`, `info,confab_threads=debug`.
    pub log: String,
    /// How a log line looks.
    pub format: Format,
    /// Where traces go, by OTLP over gRPC (`http://collector:4317`); empty: nowhere.
    pub otlp_endpoint: String,
    /// The share of traces that are kept when nobody upstream decided, 0 to 1.
    pub sample: f64,
    /// Where Prometheus reads `/metrics`, without any sign-in; empty: nowhere.
    #[serde(deserialize_with = "optional_address")]
    pub metrics_listen: Option<SocketAddr>,
}

/// Upper bounds of what is measured in seconds: from a local model's first token to one that is waited for.
const SECONDS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log` does not parse.
    #[error("telemetry.log: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// `telemetry.otlp_endpoint` cannot be used.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// `telemetry.metrics_listen` cannot be used, or something else records metrics already.
    #[error("telemetry.metrics_listen: {0}")]
    Metrics(#[from] BuildError),
    /// A subscriber is there already.
    #[error("telemetry: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry going; [`Telemetry::stop`] sends what is still queued.
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Settings {
    /// Sets the process up to log, trace and measure as the settings say. Once per process, from inside a tokio runtime.
    pub fn start(&self, service: &'static str) -> Result<Telemetry, TelemetryError> {
        let filter = EnvFilter::try_new(&self.log)?;
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        let lines = match self.format {
            Format::Text => lines.with_target(true).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        let provider = self.provider(service)?;
        let traces = provider
            .as_ref()
            .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer(service)));
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .with(traces)
            .try_init()?;
        if let Some(address) = self.metrics_listen {
            serve_metrics(address)?;
        }
        Ok(Telemetry(provider))
    }

    fn provider(&self, service: &'static str) -> Result<Option<SdkTracerProvider>, TelemetryError> {
        if self.otlp_endpoint.is_empty() {
            return Ok(None);
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&self.otlp_endpoint)
            .build()?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(self.sample)));
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name(service).build())
            .with_sampler(sampler)
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(provider))
    }
}

impl Telemetry {
    /// Sends what is queued; an exporter that does not answer is given up after its own time-out.
    pub fn stop(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "traces were lost at the end");
        }
    }
}

/// Records what the process measures, for whoever reads it there.
pub(crate) fn serve_metrics(address: SocketAddr) -> Result<(), BuildError> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install()
}

fn optional_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}
