//! One SubmitJob, sent once, and what its answer means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_batch::error::SdkError;
use aws_sdk_batch::operation::submit_job::builders::SubmitJobFluentBuilder;
use aws_sdk_batch::operation::submit_job::{SubmitJobError, SubmitJobOutput};
use aws_sdk_batch::types::{
    ContainerOverrides, EvaluateOnExit, JobTimeout, KeyValuePair, ResourceRequirement, ResourceType,
    RetryAction, RetryStrategy,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use dayfill_core::job::{self, Submission};
use dayfill_engine::ports::{ErrorKind, PortError, SendBy, Sent};

use crate::error;

/// Lets a signed request go only while its time has not run out, and remembers whether it did.
///
/// The check stands after signing, so that no signature is younger than it: a request that is held up past it dies
/// by the age of its signature.
#[derive(Clone)]
pub(crate) struct Gate {
    send_by: SendBy,
    passed: Arc<AtomicBool>,
}

impl Gate {
    pub(crate) fn new(send_by: &SendBy) -> Self {
        Self { send_by: send_by.clone(), passed: Arc::default() }
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("passed", &self.passed).finish_non_exhaustive()
    }
}

/// What the gate says when it does not open.
#[derive(Debug, thiserror::Error)]
#[error("the time to send it is over")]
struct TooLate;

impl Intercept for Gate {
    fn name(&self) -> &'static str {
        "Gate"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.send_by.is_past() {
            return Err(TooLate.into());
        }
        self.passed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// The request for a submission. A retry strategy is always in it: one left out would inherit the definition's.
pub(crate) fn request(client: &aws_sdk_batch::Client, submission: &Submission) -> SubmitJobFluentBuilder {
    let timeout =
        submission.timeout_s.map(|s| JobTimeout::builder().attempt_duration_seconds(integer(s)).build());
    client
        .submit_job()
        .job_name(submission.name.as_str())
        .job_queue(&submission.queue)
        .job_definition(&submission.definition)
        .set_share_identifier(submission.share_identifier.clone())
        .container_overrides(overrides(submission))
        .retry_strategy(retry_strategy(&submission.retry))
        .set_timeout(timeout)
}

fn overrides(submission: &Submission) -> ContainerOverrides {
    let requirement = |kind, value: String| ResourceRequirement::builder().r#type(kind).value(value).build();
    let variables = submission.environment.iter();
    let variables: Vec<_> =
        variables.map(|(k, v)| KeyValuePair::builder().name(k).value(v).build()).collect();
    ContainerOverrides::builder()
        .set_command((!submission.command.is_empty()).then(|| submission.command.clone()))
        .set_environment((!variables.is_empty()).then_some(variables))
        .resource_requirements(requirement(ResourceType::Memory, submission.memory_mib.to_string()))
        .resource_requirements(requirement(ResourceType::Vcpu, submission.vcpus.to_string()))
        .build()
}

fn retry_strategy(retry: &job::RetryStrategy) -> RetryStrategy {
    let rule = |rule: &job::ExitRule| {
        EvaluateOnExit::builder()
            .set_on_status_reason(rule.on_status_reason.map(ToOwned::to_owned))
            .set_on_reason(rule.on_reason.map(ToOwned::to_owned))
            .set_on_exit_code(rule.on_exit_code.map(ToOwned::to_owned))
            .action(if rule.retry { RetryAction::Retry } else { RetryAction::Exit })
            .build()
    };
    let rules = (!retry.rules.is_empty()).then(|| retry.rules.iter().map(rule).collect());
    RetryStrategy::builder().attempts(integer(retry.attempts)).set_evaluate_on_exit(rules).build()
}

fn integer(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// What an answer, or the lack of one, says about whether there is a job now.
///
/// Only an answer in the service's own words counts as "nothing was done": a proxy's 4xx may have been said after
/// the request had gone through.
pub(crate) fn outcome(result: Result<SubmitJobOutput, SdkError<SubmitJobError>>, gate: &Gate) -> Sent {
    let error = match result {
        Ok(output) => {
            return match output.job_id().filter(|id| !id.is_empty()) {
                Some(id) => Sent::Accepted { job_id: id.to_owned() },
                None => Sent::Unknown { why: "an answer without a job id".to_owned() },
            };
        }
        Err(error) => error,
    };
    if error::find::<TooLate>(&error).is_some() {
        return Sent::NotSent { why: TooLate.to_string() };
    }
    if !gate.passed.load(Ordering::SeqCst) {
        return not_made(&error);
    }
    match &error {
        SdkError::ServiceError(e) => said_by_service(e.err(), e.raw().status().as_u16()),
        SdkError::TimeoutError(_) => Sent::Unknown { why: "no answer in time".to_owned() },
        SdkError::ResponseError(_) => {
            Sent::Unknown { why: format!("a broken answer: {}", error::cause(&error)) }
        }
        _ => Sent::Unknown { why: error::cause(&error) },
    }
}

fn said_by_service(error: &SubmitJobError, status: u16) -> Sent {
    let code = error.code().unwrap_or_default();
    let said = error::said(code, error.message(), status);
    if !(400..500).contains(&status) {
        Sent::Unknown { why: said }
    } else if error::is_throttling(code) {
        Sent::Throttled
    } else if error::is_signed_out(code) {
        signed_out(said, error::caller_hint(code).unwrap_or(error::SIGN_IN))
    } else if let Some(hint) = error::caller_hint(code).or_else(|| definition_hint(error)) {
        Sent::Refused { why: format!("{said}; {hint}") }
    } else if error.is_client_exception() || error::refuses_caller(code) {
        Sent::Refused { why: said }
    } else {
        Sent::Unknown { why: said }
    }
}

/// There was nothing to send: the next one would fare no better, so it must not read as bad luck.
fn not_made(error: &SdkError<SubmitJobError>) -> Sent {
    let cause = error::cause(error);
    if error::find::<CredentialsError>(error).is_some() {
        signed_out(format!("no credentials: {cause}"), error::SIGN_IN)
    } else {
        Sent::Refused { why: format!("the request could not be made: {cause}") }
    }
}

fn signed_out(said: String, hint: &str) -> Sent {
    let what = format!("cannot submit jobs: {said}");
    Sent::SignedOut { error: PortError::new(ErrorKind::Credentials, what).hint(hint) }
}

/// What to do where a revision was deregistered after the plan had been submitted. Batch has no code for it; a text that is
/// not the service's own says nothing of what was done.
fn definition_hint(error: &SubmitJobError) -> Option<&'static str> {
    let message = error.message().filter(|_| error.is_client_exception())?;
    let plain: String = message.to_lowercase().split_whitespace().collect();
    plain.contains("jobdefinition").then_some("name an active revision in the YAML, or register it anew")
}

#[cfg(test)]
mod tests;
