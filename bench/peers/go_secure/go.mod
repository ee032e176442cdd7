module go_secure

go 1.24
