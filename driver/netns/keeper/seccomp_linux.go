package keeper

import (
	"encoding/binary"
	"runtime"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data, and what a filter answers.
const (
	seccompNumber   = 0
	seccompArch     = 4
	seccompArgument = 16 // low half of the first one, on little endian
	seccompSecond   = 24

	seccompAllow = 0x7fff0000
	seccompErrno = 0x00050000
	seccompAsk   = 0x7fc00000 // mounts is asked
)

// deniedCalls reach parts of the kernel that no namespace holds back. Most
// want a capability that is dropped anyway; this is the second lock.
var deniedCalls = []uint32{
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_OPEN_BY_HANDLE_AT,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT,
	unix.SYS_PIVOT_ROOT, unix.SYS_SETNS, unix.SYS_REBOOT,
	unix.SYS_CLOCK_SETTIME, unix.SYS_SETTIMEOFDAY, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_QUOTACTL, unix.SYS_VHANGUP, unix.SYS_SYSLOG,
}

// newMountCalls are refused as if the kernel did not have them: then mount(8)
// uses mount(2), which is supervised.
var newMountCalls = []uint32{
	unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_FSCONFIG, unix.SYS_FSPICK, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_MOUNT_SETATTR,
}

// namespaces are the clone flags that would give a program new capabilities.
const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP

// seccompFilter assembles the filter, empty on machines that it is not written
// for. Without volumes there is nothing that a guest could mount.
func seccompFilter(volumes bool) []byte {
	var arch uint32
	switch runtime.GOARCH {
	case "amd64":
		arch = unix.AUDIT_ARCH_X86_64
	case "arm64":
		arch = unix.AUDIT_ARCH_AARCH64
	default:
		return nil
	}
	deny := func(errno uint32) bpf.Instruction { return bpf.RetConstant{Val: seccompErrno | errno} }
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: seccompArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		deny(uint32(unix.ENOSYS)), // other ABIs number their calls differently
		bpf.LoadAbsolute{Off: seccompNumber, Size: 4},
	}
	if runtime.GOARCH == "amd64" {
		const x32 = 0x40000000
		program = append(program, bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32, SkipTrue: 1}, deny(uint32(unix.ENOSYS)))
	}
	for _, call := range deniedCalls {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 1}, deny(uint32(unix.EPERM)))
	}
	for _, call := range newMountCalls {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 1}, deny(uint32(unix.ENOSYS)))
	}
	mounting := deny(uint32(unix.EPERM))
	if volumes {
		mounting = bpf.RetConstant{Val: seccompAsk}
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_IOCTL, SkipTrue: uint8(2 + 2*len(supervised))}, bpf.LoadAbsolute{Off: seccompSecond, Size: 4})
		for _, request := range supervised {
			program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: request, SkipTrue: 1}, mounting)
		}
		program = append(program, bpf.LoadAbsolute{Off: seccompNumber, Size: 4})
	}
	for _, call := range []uint32{unix.SYS_MOUNT, unix.SYS_UMOUNT2} {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 1}, mounting)
	}
	// clone3 hides its flags behind a pointer; C libraries fall back to clone.
	program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE3, SkipTrue: 1}, deny(uint32(unix.ENOSYS)))
	for _, call := range []uint32{unix.SYS_CLONE, unix.SYS_UNSHARE} {
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 3},
			bpf.LoadAbsolute{Off: seccompArgument, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: namespaces, SkipFalse: 1},
			deny(uint32(unix.EPERM)),
			bpf.LoadAbsolute{Off: seccompNumber, Size: 4},
		)
	}
	program = append(program, bpf.RetConstant{Val: seccompAllow})
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil
	}
	var filter []byte
	for _, r := range raw {
		filter = binary.NativeEndian.AppendUint16(filter, r.Op)
		filter = append(filter, r.Jt, r.Jf)
		filter = binary.NativeEndian.AppendUint32(filter, r.K)
	}
	return filter
}
