//! One request and the whole of its answer, for what is reached over HTTP and is no MCP server.

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::response::Parts;
use http::{Method, Response, Uri};

use super::connection::{HttpUpstream, collect};
use crate::error::WireError;

impl HttpUpstream {
    /// Sends a request, and reads what comes back: all of it in the time of an answer, and no more
    /// than `bytes_max`. Of `uri` only what is behind the host counts. The connection is not used
    /// again.
    ///
    /// # Errors
    /// When the other side is not reached, cannot prove who it is, takes too long, or says too much.
    /// A status that is no success is an answer like any.
    pub async fn exchange(
        &self,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<Response<Bytes>, WireError> {
        let (head, body) = self.answered(method, uri, headers, body, bytes_max).await?;
        Ok(Response::from_parts(head, body?))
    }

    /// The same, where the status says it all: of an answer that is longer than `bytes_max` there is
    /// the head alone.
    ///
    /// # Errors
    /// When the other side is not reached, cannot prove who it is, or takes too long.
    pub async fn tell(
        &self,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<Response<Bytes>, WireError> {
        let (head, body) = self.answered(Method::POST, uri, headers, body, bytes_max).await?;
        match body {
            Err(WireError::FrameTooLong { .. }) => Ok(Response::from_parts(head, Bytes::new())),
            body => Ok(Response::from_parts(head, body?)),
        }
    }

    async fn answered(
        &self,
        method: Method,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<(Parts, Result<Bytes, WireError>), WireError> {
        headers.insert(header::HOST, self.host().clone());
        self.in_time(async {
            let response = self.request(method, uri, headers, body).await?;
            let (head, mut body) = response.into_parts();
            Ok((head, collect(&mut body, bytes_max).await))
        })
        .await
    }
}
