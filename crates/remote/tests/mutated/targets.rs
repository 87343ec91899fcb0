//! Requests of other servers: any bytes are taken or refused.

use model::Labels;
use remote::{
    read,
    receive::{self, ReceiveError, Receiver},
};
use storage::memory::MemoryStorage;

const TYPE_2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn snappy(data: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(data).unwrap_or_default()
}

/// A request of version 1 before compression: read where it lies, it says what the decoder says.
pub(crate) fn write_1(data: &[u8]) {
    let body = snappy(data);
    let receiver = Receiver::default();
    let by_walk = receiver.receive(&MemoryStorage::new(), "", "", &body);
    let again = receiver.receive(&MemoryStorage::new(), "", "", &body);
    let plain = receive::decode("", "", &body);
    let refused = |error: &ReceiveError| !matches!(error, ReceiveError::Storage(_) | ReceiveError::Refused { .. });
    for own in [&by_walk, &again] {
        let is_refused = own.as_ref().is_err_and(refused);
        assert_eq!(is_refused, plain.is_err(), "by walk {own:?}, decoded {plain:?}");
    }
}

/// A request of version 2 before compression.
pub(crate) fn write_2(data: &[u8]) {
    let body = snappy(data);
    if let Ok(batch) = receive::decode(TYPE_2, "snappy", &body) {
        let _ = receive::append(&MemoryStorage::new(), batch);
    }
}

/// A question before compression.
pub(crate) fn read(data: &[u8]) {
    let _ = read::answer(&MemoryStorage::new(), &snappy(data), &Labels::default(), 1_000);
}

/// The compressed body as it came.
pub(crate) fn compressed(data: &[u8]) {
    let _ = receive::decode("", "", data);
    let _ = receive::decode(TYPE_2, "", data);
    let _ = read::answer(&MemoryStorage::new(), data, &Labels::default(), 1_000);
}
