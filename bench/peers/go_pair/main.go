// Goroutines at the jobs of bench/pair.c, one a run:
//
//	go_pair pingpong ROUNDS   two locked OS threads on two cores, each waiting for the other
//	go_pair busy MESSAGES     one sends, one receives, through a channel of 1,024
//	go_pair spawn TASKS       all started, then all waited for
//
// Prints one JSON line: CPU and elapsed nanoseconds an operation.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

func cpuNanoseconds() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

type cores [16]uint64

// The goroutine's thread, for itself alone, on the index-th core that the process may use.
func pin(allowed cores, index int) {
	runtime.LockOSThread()
	for core := 0; core < len(allowed)*64; core++ {
		if allowed[core/64]&(1<<(core%64)) == 0 {
			continue
		}
		if index == 0 {
			var one cores
			one[core/64] = 1 << (core % 64)
			syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(one),
				uintptr(unsafe.Pointer(&one)))
			return
		}
		index--
	}
}

func pingpong(rounds int) {
	var allowed cores
	syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(allowed),
		uintptr(unsafe.Pointer(&allowed)))
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		pin(allowed, 1)
		for i := range there {
			back <- i
		}
	}()
	pin(allowed, 0)
	for i := 0; i < rounds; i++ {
		there <- i
		<-back
	}
	close(there)
}

func busy(messages int) {
	items := make(chan uint64, 1024)
	sum := make(chan uint64)
	go func() {
		var total uint64
		for item := range items {
			total += item
		}
		sum <- total
	}()
	for i := 0; i < messages; i++ {
		items <- uint64(i)
	}
	close(items)
	if n := uint64(messages); <-sum != n*(n-1)/2 {
		panic("messages were lost")
	}
}

func spawn(tasks int) {
	var wait sync.WaitGroup
	var ran atomic.Int64
	wait.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			ran.Add(1)
			wait.Done()
		}()
	}
	wait.Wait()
	if ran.Load() != int64(tasks) {
		panic("tasks were lost")
	}
}

func main() {
	jobs := map[string]func(int){"pingpong": pingpong, "busy": busy, "spawn": spawn}
	if len(os.Args) != 3 || jobs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go_pair pingpong|busy|spawn COUNT")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil || count < 1 {
		fmt.Fprintln(os.Stderr, "go_pair: COUNT is a number from 1")
		os.Exit(2)
	}
	began, before := time.Now(), cpuNanoseconds()
	jobs[os.Args[1]](count)
	spent, elapsed := cpuNanoseconds()-before, time.Since(began).Nanoseconds()
	fmt.Printf("{\"cpu_ns\":%.2f,\"elapsed_ns\":%.2f}\n", float64(spent)/float64(count),
		float64(elapsed)/float64(count))
}
