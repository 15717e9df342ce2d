use base64::{Engine, engine::general_purpose::STANDARD};
use nsl_core::Secret;
use zeroize::Zeroizing;

/// Reads what a person or a program wrote: `hex:...` and `base64:...` are bytes; anything else stands as it is,
/// without the line end that editors and `echo` leave. `None` when it is empty or does not decode.
pub(super) fn decode(raw: &[u8]) -> Option<Secret> {
    let line = raw.strip_suffix(b"\n").map_or(raw, |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    let bytes = if let Some(digits) = line.strip_prefix(b"hex:") {
        hex::decode(digits).ok()?
    } else if let Some(digits) = line.strip_prefix(b"base64:") {
        STANDARD.decode(digits).ok()?
    } else {
        line.to_vec()
    };
    (!bytes.is_empty()).then(|| Secret::new(bytes))
}

/// Always the `hex:` form, so that bytes of any kind come back as they went in.
pub(super) fn encode(secret: &Secret) -> Zeroizing<Vec<u8>> {
    let bytes = secret.expose();
    let mut text = Zeroizing::new(vec![0; 4 + 2 * bytes.len() + 1]);
    text[..4].copy_from_slice(b"hex:");
    hex::encode_to_slice(bytes, &mut text[4..4 + 2 * bytes.len()]).expect("the room is twice the bytes");
    *text.last_mut().expect("never empty") = b'\n';
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_and_what_we_write_is_read() {
        let read = |raw: &str| decode(raw.as_bytes()).map(|secret| secret.expose().to_vec());
        assert_eq!(read("pass word\r\n").unwrap(), b"pass word");
        assert_eq!(read("two\n\n").unwrap(), b"two\n");
        assert_eq!(read("hex:00ff\n").unwrap(), [0, 255]);
        assert_eq!(read("base64:AP8=").unwrap(), [0, 255]);
        for bad in ["", "\n", "hex:", "hex:0", "hex:zz", "base64:?"] {
            assert!(read(bad).is_none(), "{bad:?}");
        }
        for bytes in [&b"\n"[..], b"hex:", b"\x00\xff\r\n"] {
            assert_eq!(decode(&encode(&Secret::new(bytes))).unwrap().expose(), bytes);
        }
    }
}
