package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	kubefake "k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/gateway-api/pkg/consts"

	"istio.io/api/annotation"
	"istio.io/api/label"
	"istio.io/istio/cni/pkg/util"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
)

const lookEvery = 50 * time.Millisecond

// key names one object of the cluster.
type key struct {
	resource        schema.GroupVersionResource
	namespace, name string
}

// cluster is Istio's fake client, filled from a folder.
type cluster struct {
	folder  string
	client  kube.CLIClient
	seen    string // what the folder looked like when it was last read
	applied map[key]runtime.Object
	writes  int
}

func newCluster(folder string) *cluster {
	c := &cluster{folder: folder, client: kube.NewFakeClient(), applied: map[key]runtime.Object{}}
	answerTokenReviews(c.client.Kube().(*kubefake.Clientset))
	c.defineResources()
	return c
}

// defineResources tells the client that every kind Istio knows is defined; it waits for each before it watches.
func (c *cluster) defineResources() {
	crds := c.client.Metadata().(*metadatafake.FakeMetadataClient).Resource(gvr.CustomResourceDefinition)
	for _, one := range collections.All.All() {
		crd := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name:        one.Plural() + "." + one.Group(),
			Annotations: map[string]string{consts.BundleVersionAnnotation: consts.BundleVersion},
		}}
		if !one.IsBuiltin() {
			_, _ = crds.(metadatafake.MetadataClient).CreateFake(crd, metav1.CreateOptions{})
		}
	}
}

// followUntil follows edits of the folder; a broken one is told and changes nothing.
func (c *cluster) followUntil(ended <-chan os.Signal) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
			if err := c.follow(); err != nil {
				fmt.Fprintf(os.Stderr, "istiodpeer: the cluster stays as it was: %v\n", err)
			}
		}
	}
}

// follow makes the cluster hold what the folder says, if that changed.
func (c *cluster) follow() error {
	files, err := filepath.Glob(filepath.Join(c.folder, "*.yaml"))
	if err != nil {
		return err
	}
	looks := ""
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			looks += fmt.Sprint(file, info.Size(), info.ModTime().UnixNano(), "\n")
		}
	}
	if looks == c.seen {
		return nil
	}
	c.seen = looks
	wanted := map[key]runtime.Object{}
	for _, file := range files {
		if err := readFile(file, wanted); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	enrol(wanted)
	return c.apply(wanted)
}

// apply writes the difference between what there is and what is wanted.
func (c *cluster) apply(wanted map[key]runtime.Object) error {
	for k := range c.applied {
		if _, stays := wanted[k]; !stays {
			if err := c.tracker(k).Delete(k.resource, k.namespace, k.name); err != nil {
				return fmt.Errorf("deleting %v: %w", k, err)
			}
			delete(c.applied, k)
		}
	}
	for k, object := range wanted {
		before, exists := c.applied[k]
		if exists && reflect.DeepEqual(before, object) {
			continue
		}
		if err := c.write(k, object.DeepCopyObject(), exists); err != nil {
			return fmt.Errorf("writing %v: %w", k, err)
		}
		c.applied[k] = object
	}
	return nil
}

func (c *cluster) write(k key, object runtime.Object, exists bool) error {
	c.writes++
	object.(metav1.Object).SetResourceVersion(strconv.Itoa(c.writes))
	if exists {
		return c.tracker(k).Update(k.resource, object, k.namespace)
	}
	return c.tracker(k).Create(k.resource, object, k.namespace)
}

// tracker is the store of the client that watches a resource.
func (c *cluster) tracker(k key) clienttesting.ObjectTracker {
	var client any = c.client.Kube()
	if strings.HasSuffix(k.resource.Group, ".istio.io") {
		client = c.client.Istio()
	} else if k.resource.Group == gvr.KubernetesGateway.Group {
		client = c.client.GatewayAPI()
	}
	return client.(interface {
		Tracker() clienttesting.ObjectTracker
	}).Tracker()
}

// readFile adds the objects of a file of YAML documents.
func readFile(file string, objects map[key]runtime.Object) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var document unstructured.Unstructured
		if err := documents.Decode(&document.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if len(document.Object) == 0 {
			continue
		}
		if err := readDocument(&document, objects); err != nil {
			return fmt.Errorf("%s %s: %w", document.GetKind(), document.GetName(), err)
		}
	}
}

// readDocument reads one object in the version that Istio watches, as an API server would convert it.
func readDocument(document *unstructured.Unstructured, objects map[key]runtime.Object) error {
	kind := config.FromKubernetesGVK(document.GroupVersionKind())
	known, found := collections.All.FindByGroupVersionAliasesKind(kind)
	if !found {
		return fmt.Errorf("not a kind that istiod reads: %v", kind)
	}
	document.SetGroupVersionKind(known.GroupVersionKind().Kubernetes())
	if document.GetNamespace() == "" && !known.IsClusterScoped() {
		document.SetNamespace("default")
	}
	text, err := document.MarshalJSON()
	if err != nil {
		return err
	}
	object, _, err := kube.IstioCodec.UniversalDeserializer().Decode(text, nil, nil)
	if err != nil {
		return err
	}
	complete(object)
	objects[key{known.GroupVersionResource(), document.GetNamespace(), document.GetName()}] = object
	return nil
}

// complete sets what an API server, a scheduler and a kubelet would have set.
func complete(object runtime.Object) {
	meta := object.(metav1.Object)
	if meta.GetUID() == "" {
		meta.SetUID(types.UID("uid-of-" + meta.GetName()))
	}
	switch one := object.(type) {
	case *corev1.Namespace:
		if one.Labels == nil {
			one.Labels = map[string]string{}
		}
		one.Labels[corev1.LabelMetadataName] = one.Name
	case *corev1.Pod:
		completePod(one)
	case *corev1.Service:
		completeService(one)
	}
}

// inAmbient is what Istio's chart tells its node agent: which pods to bring to the proxy of their node.
var inAmbient = func() *util.CompiledEnablementSelectors {
	mode := label.IoIstioDataplaneMode.Name
	ambient := metav1.LabelSelector{MatchLabels: map[string]string{mode: "ambient"}}
	notNone := metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: mode, Operator: metav1.LabelSelectorOpNotIn, Values: []string{"none"}},
	}}
	selectors, err := util.NewCompiledEnablementSelectors([]util.EnablementSelector{
		{PodSelector: ambient},
		{PodSelector: notNone, NamespaceSelector: ambient},
	})
	if err != nil {
		panic(err)
	}
	return selectors
}()

// enrol does what Istio's node agent does, by its own rule: it marks the pods whose traffic it redirects.
func enrol(objects map[key]runtime.Object) {
	for _, object := range objects {
		pod, isPod := object.(*corev1.Pod)
		if !isPod {
			continue
		}
		namespace, _ := objects[key{gvr.Namespace, "", pod.Namespace}].(*corev1.Namespace)
		if namespace == nil {
			namespace = &corev1.Namespace{}
		}
		if inAmbient.Matches(pod, namespace.Labels) {
			metav1.SetMetaDataAnnotation(&pod.ObjectMeta, annotation.AmbientRedirection.Name, "enabled")
		}
	}
}

func completePod(pod *corev1.Pod) {
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = "default"
	}
	for i := range pod.Spec.Containers {
		for j := range pod.Spec.Containers[i].Ports {
			if port := &pod.Spec.Containers[i].Ports[j]; port.Protocol == "" {
				port.Protocol = corev1.ProtocolTCP
			}
		}
	}
	if len(pod.Status.PodIPs) == 0 && pod.Status.PodIP != "" {
		pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
	}
	if len(pod.Status.Conditions) == 0 && pod.Status.Phase == corev1.PodRunning {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
}

func completeService(service *corev1.Service) {
	if service.Spec.Type == "" {
		service.Spec.Type = corev1.ServiceTypeClusterIP
	}
	if len(service.Spec.ClusterIPs) == 0 && service.Spec.ClusterIP != "" {
		service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
	}
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		if port.Protocol == "" {
			port.Protocol = corev1.ProtocolTCP
		}
		if port.TargetPort == (intstr.IntOrString{}) {
			port.TargetPort = intstr.FromInt32(port.Port)
		}
	}
}
