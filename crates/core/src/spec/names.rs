//! The names that AWS allows, and texts that look like its keys.

/// Why a text is no bucket name; the rules of S3 for general-purpose buckets.
pub(super) fn bucket_fault(bucket: &str) -> Option<&'static str> {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !(3..=63).contains(&bucket.len()) {
        Some("a bucket's name has 3 to 63 characters")
    } else if !bucket.chars().all(|c| alphanumeric(c) || c == '.' || c == '-') {
        Some("a bucket's name has lower-case letters, digits, `.` and `-` only")
    } else if !bucket.starts_with(alphanumeric) || !bucket.ends_with(alphanumeric) {
        Some("a bucket's name begins and ends with a letter or digit")
    } else if bucket.contains("..") || bucket.parse::<std::net::Ipv4Addr>().is_ok() {
        Some("a bucket's name has no two dots in a row and is no IP address")
    } else {
        None
    }
}

/// Whether a text can name a queue, a definition or a job in Batch, or is an ARN of that kind of thing.
pub(super) fn is_batch_name(text: &str, kind: &str) -> bool {
    let name = match text.strip_prefix("arn:") {
        Some(arn) => match arn.splitn(5, ':').last().and_then(|resource| resource.split_once('/')) {
            Some((found, name)) if found == kind => name,
            _ => return false,
        },
        None => text,
    };
    (1..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Whether a text holds an access key id of AWS.
pub(super) fn holds_access_key(text: &str) -> bool {
    const LENGTH: usize = 20;
    let of_key = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    text.as_bytes().windows(LENGTH).enumerate().any(|(at, window)| {
        (window.starts_with(b"AKIA") || window.starts_with(b"ASIA"))
            && window.iter().all(of_key)
            && !text.as_bytes().get(at + LENGTH).is_some_and(of_key)
    })
}

/// Whether a variable of an environment looks like a credential: by its value, which may be an access key id of AWS, or by its
/// name, which may speak of a secret, a token, an API key or a password.
pub fn looks_like_credential(name: &str, value: &str) -> bool {
    let plain: String = name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect();
    let telling = ["secret", "token", "apikey", "password", "passwd"].iter().any(|word| plain.contains(word));
    holds_access_key(value) || (telling && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_named_as_s3_allows() {
        for bucket in ["example-infra-logs", "a.b.c", "123", &"x".repeat(63)] {
            assert_eq!(bucket_fault(bucket), None, "{bucket}");
        }
        for bucket in
            ["", "ab", "Example", "a_b_c", "-abc", "abc.", "a..b", "10.0.0.1", "a/b", &"x".repeat(64)]
        {
            assert!(bucket_fault(bucket).is_some(), "{bucket}");
        }
    }

    #[test]
    fn queues_are_names_or_arns() {
        for queue in ["dayfill-spot", "Q_1", "arn:aws:batch:eu-west-1:123456789012:job-queue/spot"] {
            assert!(is_batch_name(queue, "job-queue"), "{queue}");
        }
        for queue in
            ["", "-q", "a b", "q:1", "arn:aws:batch:eu-west-1:123456789012:job-definition/x", "arn:x"]
        {
            assert!(!is_batch_name(queue, "job-queue"), "{queue}");
        }
    }

    #[test]
    fn access_keys_are_seen_anywhere_in_a_text() {
        let key = "AKIAIOSFODNN7EXAMPLE".to_owned();
        assert!(holds_access_key(&key) && holds_access_key(&format!("x={key};")));
        assert!(holds_access_key(&key.replace("AKIA", "ASIA")));
        assert!(!holds_access_key(&key[..19]) && !holds_access_key(&format!("{key}9")));
        assert!(!holds_access_key(&key.to_lowercase()) && !holds_access_key("日本日本日本日本日本"));
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in ["TD_API_KEY", "GITHUB_TOKEN", "dbPassword", "AWS_SECRET_ACCESS_KEY"] {
            assert!(looks_like_credential(name, "x"), "{name}");
            assert!(!looks_like_credential(name, ""), "{name}");
        }
        assert!(!looks_like_credential("SERVICE", "x") && !looks_like_credential("KEY_PREFIX", "x"));
    }
}
