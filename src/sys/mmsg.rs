//! sendmmsg and recvmmsg over buffers allocated once.
