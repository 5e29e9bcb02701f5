//! What a process says once it serves: where it listens, which models answer, how to make a user.

use std::io::Write;

use confab_rpc::completions::Model;

use crate::roles::Role;
use crate::serve::Running;
use crate::settings::Settings;

/// Writes the welcome.
pub(crate) async fn write(
    running: &Running,
    settings: &Settings,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(out, "Confab {}", env!("CARGO_PKG_VERSION"))?;
    for (role, address) in &running.lanes {
        writeln!(out, "  {role:<12} grpc://{address}")?;
    }
    if let Some(address) = running.agent_context {
        writeln!(out, "  agents ask   grpc://{address}")?;
    }
    for address in &running.gateway {
        writeln!(out, "  gateway      http://{address}   ws://{address}/ws")?;
    }
    // A process without the completions role, or whose completions role is still away, has no models to name.
    if settings_name_models(running)
        && let Ok(models) = running.models().await
    {
        write_models(&models, out)?;
    }
    if !running.gateway.is_empty() {
        write_first_steps(settings, out)?;
    }
    Ok(out.flush()?)
}

fn settings_name_models(running: &Running) -> bool {
    let split = !running.lanes.is_empty();
    let here = running
        .lanes
        .iter()
        .any(|(role, _)| *role == Role::Completions);
    here || !split
}

fn write_models(models: &[Model], out: &mut impl Write) -> std::io::Result<()> {
    let mut providers: Vec<&str> = models.iter().map(|model| model.provider.as_str()).collect();
    providers.sort_unstable();
    providers.dedup();
    writeln!(out, "Models")?;
    for provider in providers {
        let names: Vec<String> = models
            .iter()
            .filter(|model| model.provider == provider)
            .map(|model| format!("{} {}", model.id, model.name))
            .collect();
        writeln!(out, "  {provider}: {}", names.join(", "))?;
    }
    if models.iter().any(|model| model.scripted) {
        writeln!(
            out,
            "  `scripted` is a built-in model for trying Confab without a key, not a real one. For real answers set\n  \
             OPENAI_API_KEY, OLLAMA_PORT or AI_SERVER_HOST (see .env.sample)."
        )?;
    }
    Ok(())
}

fn write_first_steps(settings: &Settings, out: &mut impl Write) -> std::io::Result<()> {
    if settings.gateway.auth.mode == confab_gateway::AuthMode::Open {
        writeln!(
            out,
            "Open mode: user ids are believed, nobody logs in. Set CONFAB__GATEWAY__AUTH__MODE=token before others can\n\
             reach this machine."
        )?;
    }
    writeln!(
        out,
        "Make a user (also while this runs): confab user add \"Test User\" --models 4,5,8 --balance 1"
    )
}
