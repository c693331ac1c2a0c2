//! `SEND`: a message for the service, or a step of a transaction.

use super::{Protocol, error_reply::ErrorReply, state::transactions::Step};
use bytes::Bytes;
use std::time::Instant;
use stomp_frame::{Frame, header};

impl Protocol {
    pub(super) fn send(&mut self, frame: Frame, now: Instant) -> Result<(), ErrorReply> {
        self.check_length(header::DESTINATION, &frame)?;
        match self.transaction_of(&frame)? {
            None => {
                self.start_call(frame, None, now);
                Ok(())
            }
            Some(transaction) => {
                self.add_step(
                    transaction,
                    Step::Send(copied_without_receipt(&frame)),
                    &frame,
                )?;
                // A SEND of a transaction is processed as soon as it is held, so its receipt is sent now.
                self.send_receipt(frame.headers.share(header::RECEIPT));
                Ok(())
            }
        }
    }
}

/// Copies a frame without its `receipt`, which is sent at once. The copy does not keep the read buffer in memory.
fn copied_without_receipt(frame: &Frame) -> Frame {
    let headers = frame
        .headers
        .iter()
        .filter(|(name, _)| *name != header::RECEIPT)
        .collect();
    Frame {
        command: frame.command,
        headers,
        body: Bytes::copy_from_slice(&frame.body),
    }
}
