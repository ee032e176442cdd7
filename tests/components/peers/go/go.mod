module weir.dev/tests/go_peer

go 1.24
