//! `SEND`: a message for the service, or a step of a transaction.

use super::{Protocol, error_reply::ErrorReply, state::transactions::Step};
use crate::{routed::Target, weight::frame_weight};
use bytes::Bytes;
use std::time::Instant;
use stomp_frame::{Frame, header};

impl Protocol {
    /// Handles `SEND`: calls the service, or holds the frame until its transaction ends. Also checks that the session's
    /// version allows the frame.
    pub(super) fn send(&mut self, frame: Frame, now: Instant) -> Result<(), ErrorReply> {
        // `SEND`s are frequent, so their headers are read in one pass.
        let [text, receipt, transaction] =
            frame
                .headers
                .get_each([header::DESTINATION, header::RECEIPT, header::TRANSACTION]);
        let text = text.unwrap_or_default();
        if text.is_empty() {
            self.validate(&frame)?;
        }
        self.check_value_length(header::DESTINATION, text, &frame)?;
        let transaction = self.find_transaction(transaction, &frame)?;
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
                let receipt = receipt.map(|id| frame.headers.share_value(id));
                self.start_call_with_receipt(frame, Target::Known(destination), receipt, None);
                Ok(())
            }
            Some(transaction) => {
                let bytes = frame_weight(&frame) + destination.destination().rewritten_bytes();
                let step = Step::Send(copied_without_receipt(&frame), destination);
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
