//! A request to KVM, named once: for the trace, and for the error if KVM refuses it.

use std::borrow::Cow;

use sandbox::{KvmCall, Question, Trace};

use crate::error::{Error, Result};

/// Does `act`, the request `name` with these `operands` (see [`KvmCall`]).
///
/// # Errors
///
/// [`Error::Kvm`] when it fails.
pub(crate) fn kvm_call<T>(
    trace: &mut Trace,
    question: Question,
    name: &'static str,
    operands: impl Into<Cow<'static, str>>,
    act: impl FnOnce() -> Result<T, kvm_ioctls::Error>,
) -> Result<T> {
    let call = KvmCall::new(name, operands);
    let result = trace.record(question, &call, act);
    result.map_err(|errno| Error::Kvm { call, source: errno.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_request_has_the_same_name_in_the_trace_and_in_the_error() {
        let mut trace = Trace::new(true);
        let refuse = || Err::<(), _>(kvm_ioctls::Error::new(libc::EBUSY));
        let error = kvm_call(&mut trace, Question::Boundary, "KVM_CREATE_VCPU", " 3", refuse);
        assert_eq!(error.unwrap_err().to_string(), "KVM_CREATE_VCPU 3");
        assert_eq!(trace.entries[0].event.to_string(), "KVM_CREATE_VCPU 3");
    }
}
