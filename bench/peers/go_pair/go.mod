module go_pair

go 1.22
