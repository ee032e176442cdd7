// Go's cost of starting, running and joining a goroutine, and of one item through a buffered
// channel, by CPU time over ten million operations each; one JSON line a figure.
package main

import (
	"fmt"
	"sync"
	"syscall"
)

const operations = 10_000_000

func cpuNanoseconds() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func report(name string, work func()) {
	before := cpuNanoseconds()
	work()
	spent := cpuNanoseconds() - before
	fmt.Printf("{\"name\": %q, \"value\": %.2f, \"unit\": \"ns\"}\n", name, float64(spent)/operations)
}

var ran int

func spawnRunJoin() {
	var wait sync.WaitGroup
	for i := 0; i < operations; i++ {
		wait.Add(1)
		go func() {
			ran++
			wait.Done()
		}()
		wait.Wait()
	}
}

func sendReceive() {
	items := make(chan int, 64)
	for i := 0; i < operations; i++ {
		items <- i
		ran += <-items
	}
}

func main() {
	report("go_spawn_run_join", spawnRunJoin)
	report("go_chan_send_recv", sendReceive)
}
