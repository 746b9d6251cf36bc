//! Answers questions about names, and asks nobody. So a name is no way to send anything out: what
//! is not listed does not exist, and what is listed has a made-up address.

use std::sync::Arc;
use std::time::Duration;

use simple_dns::rdata::{A, RData};
use simple_dns::{
    CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE, header_buffer,
};
use stockade_sandbox::Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::tunnel::Stream;
use super::{IDLE_MAX, REQUEST_MAX, Way};

/// How long a program may remember an answer, in seconds. It holds for as long as the server lives.
const TTL: u32 = 60;
/// What may come beside a question: options, and a signature.
const ADDITIONAL_MAX: u16 = 2;
/// The longest question that is read.
const QUESTION_BYTES_MAX: usize = 4096;

/// Over UDP.
pub(super) async fn serve(socket: UdpSocket, way: Arc<Way>) {
    let mut bytes = [0; QUESTION_BYTES_MAX];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut bytes).await else {
            // Lack of memory, or what became of an earlier answer.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let answer = bytes.get(..count).and_then(|it| answer(&way, it));
        if let Some(answer) = answer {
            // Whoever asked asks again.
            let _lost = socket.send_to(&answer, from).await;
        }
    }
}

/// Over TCP, where a length comes first.
pub(super) async fn serve_stream(mut stream: impl Stream, way: &Way) {
    let mut wait = REQUEST_MAX;
    while let Ok(Ok(length)) = timeout(wait, stream.read_u16()).await {
        let mut bytes = vec![0; length.into()];
        if !matches!(timeout(REQUEST_MAX, stream.read_exact(&mut bytes)).await, Ok(Ok(_))) {
            return;
        }
        let Some(answer) = answer(way, &bytes) else { return };
        let Ok(length) = u16::try_from(answer.len()) else { return };
        let answer = [&length.to_be_bytes(), answer.as_slice()].concat();
        if !matches!(timeout(REQUEST_MAX, stream.write_all(&answer)).await, Ok(Ok(()))) {
            return;
        }
        wait = IDLE_MAX;
    }
}

/// The answer to a question; nothing, to what is none.
pub(super) fn answer(way: &Way, bytes: &[u8]) -> Option<Vec<u8>> {
    if !is_one_question(bytes) {
        return None;
    }
    let asked = Packet::parse(bytes).ok()?;
    if asked.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let mut reply = Packet::new_reply(asked.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE | PacketFlag::RESPONSE);
    if asked.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    *reply.rcode_mut() = match (asked.opcode(), &asked.questions[..]) {
        (OPCODE::StandardQuery, [question]) => {
            reply.questions.push(question.clone());
            match found(way, &question.qname.to_string()) {
                Found::Nobody => RCODE::NameError,
                Found::TooMany => RCODE::ServerFailure,
                Found::Address(address) => {
                    let in_internet =
                        matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY);
                    let of_four = matches!(question.qtype, QTYPE::TYPE(TYPE::A) | QTYPE::ANY);
                    // It has no other record: no IPv6, and no other port or keys (HTTPS, SVCB).
                    if in_internet && of_four {
                        let data = RData::A(A { address });
                        let name = question.qname.clone();
                        reply.answers.push(ResourceRecord::new(name, CLASS::IN, TTL, data));
                    }
                    RCODE::NoError
                }
            }
        }
        (OPCODE::StandardQuery, _) => RCODE::FormatError,
        _ => RCODE::NotImplemented,
    };
    reply.build_bytes_vec().ok()
}

/// Before anything is read, by what the header says of the rest: the numbers in it are believed when
/// memory is taken for what should follow.
fn is_one_question(bytes: &[u8]) -> bool {
    let counts = || -> simple_dns::Result<_> {
        let others = (header_buffer::answers(bytes)?, header_buffer::name_servers(bytes)?);
        Ok((header_buffer::questions(bytes)?, others, header_buffer::additional_records(bytes)?))
    };
    matches!(counts(), Ok((1, (0, 0), 0..=ADDITIONAL_MAX)))
}

enum Found {
    Address(u32),
    Nobody,
    TooMany,
}

fn found(way: &Way, asked: &str) -> Found {
    let host = match Host::parse(asked) {
        Ok(host @ Host::Name(_)) if way.network.knows(&host) => host,
        Ok(_) | Err(_) => {
            way.refuse(asked, None, "this name is not on the list of the sandbox");
            return Found::Nobody;
        }
    };
    let Host::Name(name) = &host else { return Found::Nobody };
    way.names.address_of(name).map_or(Found::TooMany, |it| Found::Address(it.to_bits()))
}
