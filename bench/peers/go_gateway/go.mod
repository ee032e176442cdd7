module gateway

go 1.21
