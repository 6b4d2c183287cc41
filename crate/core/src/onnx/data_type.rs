//! Element types of tensors.

use crate::error::{Code, Error, Result};

macro_rules! data_types {
    ($($name:ident = $number:literal, $bits:literal, $text:literal;)*) => {
        /// An element type, numbered as in ONNX.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum DataType { $($name = $number,)* }
        impl DataType {
            /// From the number in the file.
            pub fn from_number(number: i32) -> Result<Self> {
                match number {
                    $($number => Ok(DataType::$name),)*
                    _ => Err(Error::new(Code::BadType, format!("data type {number} is not one that ONNX defines"))),
                }
            }
            /// Bits of one element; 0 for strings, which have no fixed size.
            pub fn bits(self) -> usize { match self { $(DataType::$name => $bits,)* } }
            /// The number in the file.
            pub fn number(self) -> i32 { match self { $(DataType::$name => $number,)* } }
            /// The name as numpy writes it.
            pub fn name(self) -> &'static str { match self { $(DataType::$name => $text,)* } }
        }
    };
}

data_types! {
    Float = 1, 32, "float32"; Uint8 = 2, 8, "uint8"; Int8 = 3, 8, "int8"; Uint16 = 4, 16, "uint16";
    Int16 = 5, 16, "int16"; Int32 = 6, 32, "int32"; Int64 = 7, 64, "int64"; String = 8, 0, "string";
    Bool = 9, 8, "bool"; Float16 = 10, 16, "float16"; Double = 11, 64, "float64"; Uint32 = 12, 32, "uint32";
    Uint64 = 13, 64, "uint64"; Complex64 = 14, 64, "complex64"; Complex128 = 15, 128, "complex128";
    Bfloat16 = 16, 16, "bfloat16"; Float8E4M3Fn = 17, 8, "float8e4m3fn"; Float8E4M3Fnuz = 18, 8, "float8e4m3fnuz";
    Float8E5M2 = 19, 8, "float8e5m2"; Float8E5M2Fnuz = 20, 8, "float8e5m2fnuz"; Uint4 = 21, 4, "uint4";
    Int4 = 22, 4, "int4"; Float4E2M1 = 23, 4, "float4e2m1"; Float8E8M0 = 24, 8, "float8e8m0";
    Uint2 = 25, 2, "uint2"; Int2 = 26, 2, "int2"; Float6E2M3 = 27, 6, "float6e2m3"; Float6E3M2 = 28, 6, "float6e3m2";
}

impl DataType {
    /// Bytes that `count` elements take when packed.
    pub fn bytes_for(self, count: usize) -> Option<usize> {
        count.checked_mul(self.bits()).map(|bits| bits.div_ceil(8))
    }

    /// Whether the elements are real floating-point numbers of at least 16 bits.
    pub fn is_float(self) -> bool {
        matches!(self, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16)
    }

    /// Whether the elements are whole numbers.
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::Uint8
                | DataType::Uint16
                | DataType::Uint32
                | DataType::Uint64
                | DataType::Int4
                | DataType::Uint4
                | DataType::Int2
                | DataType::Uint2
        )
    }
}
