//! One request and the whole of its answer, for what is reached over HTTP and is no MCP server.

use bytes::Bytes;
use http::header::{self, HeaderMap};
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
        mut headers: HeaderMap,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<Response<Bytes>, WireError> {
        headers.insert(header::HOST, self.host().clone());
        self.in_time(async {
            let response = self.request(method, uri, headers, body).await?;
            let (head, mut body) = response.into_parts();
            let body = collect(&mut body, bytes_max).await?;
            Ok(Response::from_parts(head, body))
        })
        .await
    }
}
