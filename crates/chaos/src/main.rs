//! Runs scenarios: `confab-chaos --help`.

use std::fs::OpenOptions;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use confab_chaos::report;
use confab_chaos::runner::{Options, Row, Suite};
use confab_chaos::scenario::{self, Scenario};

/// Breaks a Confab on purpose and judges what its clients saw.
#[derive(Parser)]
#[command(name = "confab-chaos", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the scenarios
    List,
    /// Run scenarios, one after another
    Run {
        /// Their names: F01 F34 [default: those of --set]
        names: Vec<String>,
        /// Those that every change has to pass, or all of them
        #[arg(long, value_enum, default_value = "smoke")]
        set: Set,
        /// What chance is made from [default: another one each time]
        #[arg(long)]
        seed: Option<u64>,
        /// How long each scenario lasts
        #[arg(long, default_value = "20")]
        seconds: u64,
        /// Where logs, histories and rows go
        #[arg(long, value_name = "DIR", default_value = "target/chaos")]
        out: PathBuf,
    },
    /// Print the page about the last run of each scenario, in Markdown
    Report {
        /// Where rows are
        #[arg(value_name = "DIR", default_value = "target/chaos")]
        folder: PathBuf,
        /// Also draw a picture into this file, beside which the page will be
        #[arg(long, value_name = "FILE")]
        plot: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Set {
    Smoke,
    Full,
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::List => {
            for scenario in scenario::all() {
                let smoke = if scenario.in_smoke() { "smoke" } else { "" };
                writeln!(
                    stdout(),
                    "{}  {smoke:5}  {}",
                    scenario.id(),
                    scenario.title()
                )?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Report { folder, plot } => {
            let rows = report::read(&folder)?;
            if let Some(file) = &plot {
                std::fs::write(file, report::plot(&rows))?;
            }
            let name = plot.as_deref().and_then(Path::file_name);
            let name = name.map(|name| name.to_string_lossy());
            write!(stdout(), "{}", report::page(&rows, name.as_deref()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run {
            names,
            set,
            seed,
            seconds,
            out,
        } => {
            std::fs::create_dir_all(&out)?;
            let options = Options {
                program: beside_us()?,
                out: out.canonicalize()?,
                seed: seed.unwrap_or_else(|| fastrand::u64(..)),
                commit: commit(),
                length: Duration::from_secs(seconds),
            };
            let chosen = choose(&names, set)?;
            let runtime = tokio::runtime::Runtime::new()?;
            let green = runtime.block_on(run(options, chosen))?;
            Ok(if green {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

/// The program to be broken, which is built with this one.
fn beside_us() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let program = here.with_file_name("confab-faulty");
    anyhow::ensure!(program.is_file(), "{} is not built", program.display());
    Ok(program)
}

/// What is checked out here; empty when nobody can say.
fn commit() -> String {
    let said = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output();
    let said = said.ok().filter(|said| said.status.success());
    let name = said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned());
    name.unwrap_or_default()
}

fn choose(names: &[String], set: Set) -> anyhow::Result<Vec<Box<dyn Scenario>>> {
    let all = scenario::all();
    for name in names {
        let known = all.iter().any(|scenario| scenario.id() == name);
        anyhow::ensure!(known, "there is no scenario {name}: confab-chaos list");
    }
    let wanted = |scenario: &dyn Scenario| match names {
        [] => set == Set::Full || scenario.in_smoke(),
        names => names.iter().any(|name| name == scenario.id()),
    };
    Ok(all
        .into_iter()
        .filter(|scenario| wanted(&**scenario))
        .collect())
}

async fn run(options: Options, scenarios: Vec<Box<dyn Scenario>>) -> anyhow::Result<bool> {
    let mut out = stdout();
    writeln!(out, "seed {}", options.seed)?;
    writeln!(out, "{}", Row::head())?;
    let rows = options.out.join("rows.jsonl");
    let mut suite = Suite::new(options);
    let mut green = true;
    for scenario in scenarios {
        let row = suite.run(scenario).await;
        writeln!(out, "{}", row.line())?;
        append(&rows, &row)?;
        green &= row.passed;
    }
    Ok(green)
}

fn append(path: &Path, row: &Row) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.with_context(|| path.display().to_string())?;
    writeln!(file, "{}", serde_json::to_string(row)?)?;
    Ok(())
}
