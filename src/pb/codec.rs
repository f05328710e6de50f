//! Messages ↔ bytes for tonic: as its own codec, but a message that lies in one piece is read as a slice. In tonic's
//! buffer each step is counted off twice, which a request of many short texts feels.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Writes `T`, reads `U`.
#[derive(Debug, Clone)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Codec<T, U> {
        Codec(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: Message + Default + Send + 'static> tonic::codec::Codec for Codec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Reader<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Reader<U> {
        Reader(ProstDecoder::default())
    }
}

/// Reads `U`.
#[derive(Debug)]
pub struct Reader<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for Reader<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let piece = bytes.chunk();
        if piece.len() < bytes.remaining() {
            return self.0.decode(bytes);
        }
        // The code and words of tonic's own codec.
        let message = U::decode(piece).map_err(|error| Status::internal(error.to_string()))?;
        bytes.advance(bytes.remaining());
        Ok(Some(message))
    }
}
