// A TCP echo server on one thread: one task a connection.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut stream: TcpStream) {
    let mut buf = vec![0u8; 16384];
    let _ = stream.set_nodelay(true);
    loop {
        match stream.read(&mut buf).await {
            Ok(n) if n > 0 => {
                if stream.write_all(&buf[..n]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: tokio_echo ADDRESS");
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(async move {
            let listener = TcpListener::bind(address).await?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(echo(stream));
            }
        })
}
