//! The one table of error codes: what each is called, in HTTP and in gRPC.

use http::StatusCode;

macro_rules! codes {
    ($($variant:ident $name:literal $status:ident $grpc:ident $title:literal,)*) => {
        /// A stable error code: `code` of a problem body, `lakehouse-code` of a gRPC status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// As clients see it; never changes.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The title of its problem body.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// Its HTTP status.
            pub fn http_status(self) -> StatusCode {
                match self { $(Code::$variant => StatusCode::$status,)* }
            }

            /// Its gRPC status.
            pub fn grpc_code(self) -> tonic::Code {
                match self { $(Code::$variant => tonic::Code::$grpc,)* }
            }

            /// The inverse of [`Code::as_str`].
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Code::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    InvalidArgument "invalid_argument" BAD_REQUEST InvalidArgument "The request is not valid",
    Unauthenticated "unauthenticated" UNAUTHORIZED Unauthenticated "Who is calling is not known",
    PermissionDenied "permission_denied" FORBIDDEN PermissionDenied "The caller may not do this",
    NotFound "not_found" NOT_FOUND NotFound "There is no such thing",
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED Unimplemented "The method does not go with this path",
    NotAcceptable "not_acceptable" NOT_ACCEPTABLE InvalidArgument "No format that the caller accepts",
    AlreadyExists "already_exists" CONFLICT AlreadyExists "It exists already",
    Conflict "conflict" CONFLICT Aborted "It conflicts with what is there",
    FailedPrecondition "failed_precondition" PRECONDITION_FAILED FailedPrecondition "A condition of the request does not hold",
    PayloadTooLarge "payload_too_large" PAYLOAD_TOO_LARGE OutOfRange "The body is too large",
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE InvalidArgument "The body's format is not understood",
    OutOfRange "out_of_range" RANGE_NOT_SATISFIABLE OutOfRange "The range lies outside the object",
    ResourceExhausted "resource_exhausted" TOO_MANY_REQUESTS ResourceExhausted "A limit of the caller is used up",
    Internal "internal" INTERNAL_SERVER_ERROR Internal "Something went wrong inside",
    Unimplemented "unimplemented" NOT_IMPLEMENTED Unimplemented "This is not supported",
    BadGateway "bad_gateway" BAD_GATEWAY Unavailable "A service behind gave no valid answer",
    Unavailable "unavailable" SERVICE_UNAVAILABLE Unavailable "The service is not available",
    Overloaded "overloaded" SERVICE_UNAVAILABLE ResourceExhausted "The service has no room for this now",
    DeadlineExceeded "deadline_exceeded" GATEWAY_TIMEOUT DeadlineExceeded "It took too long",
    InsufficientStorage "insufficient_storage" INSUFFICIENT_STORAGE ResourceExhausted "There is no room to store this",
}

impl Code {
    /// What a gRPC status means that carries no `lakehouse-code`: one that tonic itself or a proxy
    /// made.
    pub fn from_grpc(code: tonic::Code) -> Self {
        match code {
            tonic::Code::InvalidArgument => Code::InvalidArgument,
            tonic::Code::Unauthenticated => Code::Unauthenticated,
            tonic::Code::PermissionDenied => Code::PermissionDenied,
            tonic::Code::NotFound => Code::NotFound,
            tonic::Code::AlreadyExists => Code::AlreadyExists,
            tonic::Code::Aborted => Code::Conflict,
            tonic::Code::FailedPrecondition => Code::FailedPrecondition,
            tonic::Code::OutOfRange => Code::PayloadTooLarge,
            tonic::Code::ResourceExhausted => Code::Overloaded,
            tonic::Code::Unimplemented => Code::Unimplemented,
            tonic::Code::Unavailable | tonic::Code::Cancelled => Code::Unavailable,
            tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
            tonic::Code::Ok | tonic::Code::Unknown | tonic::Code::Internal | tonic::Code::DataLoss => Code::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_parses_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert!(code.http_status().as_u16() >= 400);
        }
    }
}
