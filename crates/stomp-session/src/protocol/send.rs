//! `SEND`: a message for the service, or a step of a transaction.

use super::{Protocol, error_reply::ErrorReply, state::transactions::Step};
use crate::weight::frame_weight;
use bytes::Bytes;
use std::time::Instant;
use stomp_frame::{Frame, header};

impl Protocol {
    /// Handles `SEND`: calls the service, or holds the frame until its transaction ends.
    pub(super) fn send(&mut self, frame: Frame, now: Instant) -> Result<(), ErrorReply> {
        let text = self.destination_of(&frame)?;
        let transaction = self.transaction_of(&frame)?;
        let destination = match self.parse_destination(text) {
            Ok(destination) => destination,
            Err(error) => {
                if let Some(transaction) = transaction {
                    self.transactions.refuse(transaction, error.clone());
                }
                let reply = ErrorReply::from(error).with_receipt_of(&frame);
                self.report_app_error(reply, now);
                return Ok(());
            }
        };
        match transaction {
            None => {
                self.start_call(frame, destination, None, now);
                Ok(())
            }
            Some(transaction) => {
                let bytes = frame_weight(&frame) + destination.rewritten_bytes();
                let step = Step::Send(copied_without_receipt(&frame), destination.copied());
                self.add_step(transaction, step, bytes, &frame)?;
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
