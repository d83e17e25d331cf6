//! The shape of a job definition: what Batch's RegisterJobDefinition takes for a job of one container.

/// What a value may be.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A text; a number that was written without quotes is taken as it was written.
    Text,
    /// A whole number.
    Whole,
    /// `true` or `false`.
    Flag,
    /// A list of such values.
    List(&'static Shape),
    /// Names of one's own, each with a text.
    Texts,
    /// These fields, each of this shape, none of them twice.
    Fields(&'static [Field]),
}

/// The name of a field, its shape, and whether it must be there.
pub(super) struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
}

const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

const PAIR: Shape = Shape::Fields(&[must("name", Shape::Text), must("value", Shape::Text)]);
const SECRET: Shape = Shape::Fields(&[must("name", Shape::Text), must("valueFrom", Shape::Text)]);
const RESOURCE: Shape = Shape::Fields(&[must("type", Shape::Text), must("value", Shape::Text)]);
const ULIMIT: Shape = Shape::Fields(&[
    must("name", Shape::Text),
    must("softLimit", Shape::Whole),
    must("hardLimit", Shape::Whole),
]);
const MOUNT: Shape = Shape::Fields(&[
    may("containerPath", Shape::Text),
    may("readOnly", Shape::Flag),
    may("sourceVolume", Shape::Text),
]);
const VOLUME: Shape = Shape::Fields(&[
    may("name", Shape::Text),
    may("host", Shape::Fields(&[may("sourcePath", Shape::Text)])),
    may(
        "efsVolumeConfiguration",
        Shape::Fields(&[
            must("fileSystemId", Shape::Text),
            may("rootDirectory", Shape::Text),
            may("transitEncryption", Shape::Text),
            may("transitEncryptionPort", Shape::Whole),
            may(
                "authorizationConfig",
                Shape::Fields(&[may("accessPointId", Shape::Text), may("iam", Shape::Text)]),
            ),
        ]),
    ),
]);
const DEVICE: Shape = Shape::Fields(&[
    must("hostPath", Shape::Text),
    may("containerPath", Shape::Text),
    may("permissions", Shape::List(&Shape::Text)),
]);
const TMPFS: Shape = Shape::Fields(&[
    must("containerPath", Shape::Text),
    must("size", Shape::Whole),
    may("mountOptions", Shape::List(&Shape::Text)),
]);
const LINUX: Shape = Shape::Fields(&[
    may("devices", Shape::List(&DEVICE)),
    may("initProcessEnabled", Shape::Flag),
    may("sharedMemorySize", Shape::Whole),
    may("tmpfs", Shape::List(&TMPFS)),
    may("maxSwap", Shape::Whole),
    may("swappiness", Shape::Whole),
]);
const LOG: Shape = Shape::Fields(&[
    must("logDriver", Shape::Text),
    may("options", Shape::Texts),
    may("secretOptions", Shape::List(&SECRET)),
]);
const CONTAINER: Shape = Shape::Fields(&[
    must("image", Shape::Text),
    may("command", Shape::List(&Shape::Text)),
    may("environment", Shape::List(&PAIR)),
    may("resourceRequirements", Shape::List(&RESOURCE)),
    may("jobRoleArn", Shape::Text),
    may("executionRoleArn", Shape::Text),
    may("secrets", Shape::List(&SECRET)),
    may("logConfiguration", LOG),
    may("ulimits", Shape::List(&ULIMIT)),
    may("mountPoints", Shape::List(&MOUNT)),
    may("volumes", Shape::List(&VOLUME)),
    may("user", Shape::Text),
    may("readonlyRootFilesystem", Shape::Flag),
    may("privileged", Shape::Flag),
    may("instanceType", Shape::Text),
    may("linuxParameters", LINUX),
    may("networkConfiguration", Shape::Fields(&[may("assignPublicIp", Shape::Text)])),
    may("fargatePlatformConfiguration", Shape::Fields(&[may("platformVersion", Shape::Text)])),
    may("enableExecuteCommand", Shape::Flag),
    may("ephemeralStorage", Shape::Fields(&[must("sizeInGiB", Shape::Whole)])),
    may(
        "runtimePlatform",
        Shape::Fields(&[may("operatingSystemFamily", Shape::Text), may("cpuArchitecture", Shape::Text)]),
    ),
    may("repositoryCredentials", Shape::Fields(&[must("credentialsParameter", Shape::Text)])),
]);
const EXIT: Shape = Shape::Fields(&[
    may("onStatusReason", Shape::Text),
    may("onReason", Shape::Text),
    may("onExitCode", Shape::Text),
    must("action", Shape::Text),
]);

/// A job definition.
pub(super) const DEFINITION: &[Field] = &[
    must("jobDefinitionName", Shape::Text),
    must("type", Shape::Text),
    must("containerProperties", CONTAINER),
    may("parameters", Shape::Texts),
    may("schedulingPriority", Shape::Whole),
    may(
        "retryStrategy",
        Shape::Fields(&[may("attempts", Shape::Whole), may("evaluateOnExit", Shape::List(&EXIT))]),
    ),
    may("timeout", Shape::Fields(&[may("attemptDurationSeconds", Shape::Whole)])),
    may("tags", Shape::Texts),
    may("propagateTags", Shape::Flag),
    may("platformCapabilities", Shape::List(&Shape::Text)),
];
