package ec2

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// Measure is what the type of a volume bounds, and ModifyVolume can change.
type Measure struct {
	Type       string
	Size       int // GiB
	Iops       int
	Throughput int // MiB/s
}

func (v Volume) measure() Measure { return Measure{v.Type, v.Size, v.Iops, v.Throughput} }

// volumeType is what volumes of a type can be.
type volumeType struct {
	leastSize, mostSize int // GiB
	leastIops, mostIops int // zero: they cannot be chosen
	iopsPerGiB          int // at most, beyond leastIops
	mostThroughput      int // zero: it cannot be chosen
}

var volumeTypes = map[string]volumeType{
	"gp2":      {leastSize: 1, mostSize: 16384},
	"gp3":      {leastSize: 1, mostSize: 65536, leastIops: 3000, mostIops: 80000, iopsPerGiB: 500, mostThroughput: 2000},
	"io1":      {leastSize: 4, mostSize: 16384, leastIops: 100, mostIops: 64000, iopsPerGiB: 50},
	"io2":      {leastSize: 4, mostSize: 65536, leastIops: 100, mostIops: 256000, iopsPerGiB: 1000},
	"st1":      {leastSize: 125, mostSize: 16384},
	"sc1":      {leastSize: 125, mostSize: 16384},
	"standard": {leastSize: 1, mostSize: 1024},
}

// leastThroughput is what every gp3 volume has, and throughputPerIops how much more there can be.
const (
	leastThroughput   = 125
	throughputPerIops = 0.25
)

// check refuses sizes and speeds that a type cannot have, and fills in what it has by itself.
func (m *Measure) check() error {
	t, known := volumeTypes[m.Type]
	switch {
	case !known:
		return api.Errorf("UnknownVolumeType", "Unsupported volume type '%s' for volume creation.", m.Type)
	case m.Size < t.leastSize:
		return api.Errorf("InvalidParameterValue", "Volume of %dGiB is too small for volume type %s; minimum is %dGiB.", m.Size, m.Type, t.leastSize)
	case m.Size > t.mostSize:
		return api.Errorf("InvalidParameterValue", "Volume of %dGiB is too large for volume type %s; maximum is %dGiB.", m.Size, m.Type, t.mostSize)
	case m.Iops != 0 && t.mostIops == 0:
		return api.Errorf("InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", m.Type)
	case m.Iops == 0 && strings.HasPrefix(m.Type, "io"):
		return api.Errorf("InvalidParameterCombination", "The parameter iops must be specified for %s volumes.", m.Type)
	case m.Throughput != 0 && t.mostThroughput == 0:
		return api.Errorf("InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", m.Type)
	}
	switch m.Type {
	case "gp3":
		m.Iops, m.Throughput = cmp.Or(m.Iops, t.leastIops), cmp.Or(m.Throughput, leastThroughput)
	case "gp2":
		m.Iops = min(max(3*m.Size, 100), 16000)
		return nil
	}
	return m.checkSpeed(t)
}

// checkSpeed refuses speeds that a volume of its type and size cannot have.
func (m *Measure) checkSpeed(t volumeType) error {
	if t.mostIops > 0 {
		ratio := float64(m.Iops) / float64(m.Size)
		switch {
		case m.Iops < t.leastIops:
			return api.Errorf("InvalidParameterValue", "Volume iops of %d is too low; minimum is %d.", m.Iops, t.leastIops)
		case m.Iops > t.mostIops:
			return api.Errorf("InvalidParameterValue", "Volume iops of %d is too high; maximum is %d.", m.Iops, t.mostIops)
		case m.Iops > t.leastIops && ratio > float64(t.iopsPerGiB):
			return api.Errorf("InvalidParameterValue", "Iops to volume size ratio of %f is too high; maximum is %d", ratio, t.iopsPerGiB)
		}
	}
	if t.mostThroughput > 0 {
		ratio := float64(m.Throughput) / float64(m.Iops)
		switch {
		case m.Throughput < leastThroughput:
			return api.Errorf("InvalidParameterValue", "Throughput (MiBps) of %d is too low; minimum is %d.", m.Throughput, leastThroughput)
		case m.Throughput > t.mostThroughput:
			return api.Errorf("InvalidParameterValue", "Throughput (MiBps) of %d is too high; maximum is %d.", m.Throughput, t.mostThroughput)
		case ratio > throughputPerIops:
			return api.Errorf("InvalidParameterValue", "Throughput (MiBps) to iops ratio of %f is too high; maximum is %f MiBps per iops", ratio, throughputPerIops)
		}
	}
	return nil
}

// encryption says whether a volume of a snapshot, if there is one, counts as encrypted, and by which key. What an encrypted
// snapshot is made into always is. Nothing is really encrypted.
func encryption(tx *cloud.Tx, asked bool, key string, source Snapshot) (bool, string, error) {
	switch {
	case key != "" && !asked:
		return false, "", api.Errorf("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	case !asked && !source.Encrypted:
		return false, "", nil
	case key != "":
		return true, keyARN(tx, key), nil
	case source.KmsKeyID != "":
		return true, source.KmsKeyID, nil
	}
	return true, defaultKey(tx), nil
}

// keyARN writes the key that a call names by an ARN, an alias or an ID as an ARN. There is no key service that knew it.
func keyARN(tx *cloud.Tx, key string) string {
	switch {
	case strings.HasPrefix(key, "arn:"):
		return key
	case strings.HasPrefix(key, "alias/"):
		return tx.Scope.ARN("kms", key)
	}
	return tx.Scope.ARN("kms", "key/"+key)
}

// defaultKey is the ARN of the key that AWS makes for the volumes of an account in a region.
func defaultKey(tx *cloud.Tx) string {
	sum := sha256.Sum256([]byte("aws/ebs " + tx.Scope.Account + " " + tx.Scope.Region))
	x := hex.EncodeToString(sum[:16])
	return keyARN(tx, x[:8]+"-"+x[8:12]+"-"+x[12:16]+"-"+x[16:20]+"-"+x[20:])
}
