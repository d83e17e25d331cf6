//! `dayfill local`

use std::path::{Path, PathBuf};

use dayfill_aws::{Queues, Settings, connect};
use dayfill_local::{Endpoint, LocalConfig, LocalEngine, Reclaims, machine};

use crate::args::{LocalArgs, RunnerArg};
use crate::error::{Exit, Failure, chain};
use crate::output;
use crate::site::{LOCAL_ACCOUNT, LOCAL_REGION, guard_command, local_endpoint, machine_mib};

/// Runs the local engine until it is interrupted.
pub async fn run(args: LocalArgs) -> Result<Exit, Failure> {
    let absolute = |path: &Path| {
        std::path::absolute(path)
            .map_err(|e| Failure::new(Exit::Error, format!("cannot resolve {}: {e}", path.display())))
    };
    let lake = absolute(&args.lake)?;
    if !lake.is_dir() {
        let what = format!("--lake: there is no folder {}", lake.display());
        return Err(Failure::new(Exit::Error, what).hint("make it first; its subfolders are the buckets"));
    }
    let mounts = args.bucket.iter().map(|(name, path)| Ok((name.clone(), absolute(Path::new(path))?)));
    let mounts: Vec<(String, PathBuf)> = mounts.collect::<Result<_, Failure>>()?;
    let (reclaims, reclaims_note) = reclaims(&args).unzip();
    let config = LocalConfig {
        dir: absolute(&args.dir)?,
        lake: Some(lake.clone()),
        mounts,
        port: args.port,
        vcpus: args.vcpus.unwrap_or_else(machine::vcpus),
        memory_mib: args.memory.unwrap_or_else(machine_mib),
        region: LOCAL_REGION.to_owned(),
        account: LOCAL_ACCOUNT.to_owned(),
        signature_age: args.signature_age,
        dispatch: true,
        guard: guard_command()?,
        record: args.record.clone(),
        runner: args.runner.into(),
        limit: args.limit.into(),
        reclaims,
    };
    let (vcpus, memory_mib) = (config.vcpus, config.memory_mib);
    let engine = LocalEngine::start(config)
        .await
        .map_err(|e| Failure::new(Exit::Error, format!("the local engine does not start: {}", chain(&e))))?;
    let ready = ready(&engine, &args.queue).await;
    if let Err(failure) = ready {
        engine.shutdown().await;
        return Err(failure);
    }
    output::write(&exports(engine.endpoint()))?;
    eprintln!("# AWS Batch, CloudWatch Logs and S3 over {} on {}", lake.display(), engine.endpoint().url);
    let run_as = match args.runner {
        RunnerArg::Process => "processes of this user",
        RunnerArg::Docker => "containers of their image",
    };
    eprintln!("# jobs run as {run_as}, with {vcpus} vCPUs and {memory_mib} MiB between them");
    if let Some(limits) = engine.limits() {
        eprintln!("# each is held to its memory by {limits}");
    }
    if let Some(note) = reclaims_note {
        eprintln!("{note}");
    }
    eprintln!("# paste the lines above into another terminal; stop with Ctrl-C");
    wait_for_end().await?;
    engine.shutdown().await;
    Ok(Exit::Ok)
}

/// Which hosts are to be taken away, and what there is to say of it.
fn reclaims(args: &LocalArgs) -> Option<(Reclaims, String)> {
    let percent = args.reclaims?;
    // Short enough to be typed again.
    let seed = args.seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    let reclaims = Reclaims::new(percent / 100.0, seed)?;
    let (reclaims, of) = match args.reclaims_on.as_slice() {
        [] => (reclaims, String::new()),
        queues => (reclaims.only_on(queues.iter().cloned()), format!(" of {}", queues.join(", "))),
    };
    let note =
        format!("# {percent}% of the hosts{of} are taken away within a minute; again with --seed {seed}");
    Some((reclaims, note))
}

async fn ready(engine: &LocalEngine, queues: &[String]) -> Result<(), Failure> {
    let settings = Settings { local: Some(local_endpoint(engine.endpoint())), ..Settings::default() };
    let connection = connect(settings).await?;
    for queue in queues {
        Queues::new(&connection).ensure_local_queue(queue).await?;
    }
    Ok(())
}

fn exports(endpoint: &Endpoint) -> String {
    format!(
        "export AWS_ENDPOINT_URL={}\nexport AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\n\
         export AWS_REGION={}\nexport AWS_DEFAULT_REGION={}\n",
        endpoint.url, endpoint.access_key_id, endpoint.secret_access_key, endpoint.region, endpoint.region
    )
}

async fn wait_for_end() -> Result<(), Failure> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|e| Failure::new(Exit::Error, format!("cannot wait for signals: {e}")))?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}
